package broker

import (
	"log/slog"
	"net"
	"sync"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// listener takes connections for the server, and closes them itself. Mochi's
// own listeners ask the server for their clients when they close, and that
// locks up when one of them leaves at the same moment (mochi-mqtt/server#488,
// seen here under load).
type listener struct {
	net.Listener
	handlers sync.WaitGroup

	mu          sync.Mutex
	connections map[net.Conn]bool
	closed      bool
}

func (l *listener) ID() string              { return "mqtt" }
func (l *listener) Address() string         { return l.Addr().String() }
func (l *listener) Protocol() string        { return "tcp" }
func (l *listener) Init(*slog.Logger) error { return nil }

// Serve hands every connection to the server, until Close.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for {
		connection, err := l.Accept()
		if err != nil {
			return // closed
		}
		if !l.keep(connection) {
			connection.Close()
			return
		}
		go func() {
			defer l.handlers.Done()
			establish(l.ID(), connection) // its error is the end of the connection
			connection.Close()
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.connections, connection)
		}()
	}
}

// keep counts a connection in, unless the listener is closed.
func (l *listener) keep(connection net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.connections[connection] = true
	l.handlers.Add(1)
	return true
}

// Close ends every connection and waits for what the server does about it.
func (l *listener) Close(listeners.CloseFn) {
	l.Listener.Close()
	l.mu.Lock()
	l.closed = true
	for connection := range l.connections {
		connection.Close()
	}
	l.mu.Unlock()
	l.handlers.Wait()
}
