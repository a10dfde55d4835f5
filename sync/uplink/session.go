package uplink

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/sync/wire"
)

// session is one connection, from dialling to its end.
type session struct {
	*Uplink
	client   paho.Client
	receipts chan []byte       // raw messages; filled by the library's goroutine,
	commands chan paho.Message // as are these
	lost     chan error

	flying map[string]flight // by result id
	live   uint64            // the last sequence looked at of those that came while connected
	old    uint64            // the last sequence looked at of those before
	border uint64            // the last of those before
	rewind bool              // something was sent without a receipt: look from the start again

	status     []byte // the last one sent
	statusTime time.Time
}

// session runs one connection until it is lost or ctx is done.
func (u *Uplink) session(ctx context.Context) error {
	// The connection outlives ctx by the last send.
	connection, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	s := &session{
		Uplink:   u,
		receipts: make(chan []byte, 4*window),
		commands: make(chan paho.Message, 16),
		border:   u.o.Outbox.Last(),
		lost:     make(chan error, 1),
		flying:   map[string]flight{},
	}
	s.live = s.border
	will, err := wire.Offline(u.o.From).Encode()
	if err != nil {
		return err
	}
	s.client = paho.NewClient(s.options(connection, will))
	// Waits for the library's goroutines, a quarter of a second at most.
	defer s.client.Disconnect(250)

	stop := context.AfterFunc(ctx, hangUp) // nothing is in hand while connecting
	err = s.connect()
	if !stop() || err != nil {
		return errors.Join(err, ctx.Err())
	}
	u.setState(true, nil)
	if err := s.serve(ctx); err != nil {
		return err
	}
	return wait("say offline", s.client.Publish(u.topics.Status(), 1, true, will), lastSend)
}

func (s *session) options(connection context.Context, will []byte) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.Servers = []*url.URL{s.broker}
	// One name for each device: a broker that still holds the last connection
	// drops it, and publishes its will, before it takes this one. With a name
	// of its own, the old connection's will would come later and stay.
	o.SetClientID("spinebox-" + s.topics.Site + "-" + s.topics.Device)
	o.SetUsername(s.o.Username).SetPassword(s.o.Password)
	o.SetProtocolVersion(4) // 3.1.1; else a refusal is tried again as 3.1
	o.SetAutoReconnect(false).SetConnectRetry(false)
	o.SetCleanSession(true).SetStore(paho.NewMemoryStore())
	o.SetConnectTimeout(connectTimeout).SetWriteTimeout(writeTimeout)
	o.SetKeepAlive(30 * time.Second).SetPingTimeout(10 * time.Second)
	o.SetBinaryWill(s.topics.Status(), will, 1, true)
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		select {
		case s.lost <- err:
		default:
		}
	})
	o.SetCustomOpenConnectionFn(func(broker *url.URL, _ paho.ClientOptions) (net.Conn, error) {
		return dial(connection, broker, s.o.TLS)
	})
	return o
}

// dial opens a connection that ends with ctx.
func dial(ctx context.Context, broker *url.URL, config *tls.Config) (conn net.Conn, err error) {
	plain := &net.Dialer{Timeout: connectTimeout}
	if broker.Scheme == "tls" {
		conn, err = (&tls.Dialer{NetDialer: plain, Config: config}).DialContext(ctx, "tcp", broker.Host)
	} else {
		conn, err = plain.DialContext(ctx, "tcp", broker.Host)
	}
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return conn, nil
}

// connect connects and listens for receipts and commands.
func (s *session) connect() error {
	if err := wait("connect to the broker", s.client.Connect(), connectTimeout); err != nil {
		return err
	}
	// The library's goroutine must not wait: it also reads the broker's
	// acknowledgements. A receipt that finds no room comes again, after its
	// result was sent again.
	if err := s.listen(s.topics.Receipt(), func(_ paho.Client, m paho.Message) {
		select {
		case s.receipts <- m.Payload():
		default:
		}
	}); err != nil {
		return err
	}
	return s.listen(s.topics.Command(), func(_ paho.Client, m paho.Message) {
		select {
		case s.commands <- m:
		default:
			s.refuse(errors.New("too many at a time"))
		}
	})
}

func (s *session) listen(topic string, handle paho.MessageHandler) error {
	token := s.client.Subscribe(topic, 1, handle)
	if err := wait("subscribe", token, connectTimeout); err != nil {
		return err
	}
	if granted := token.(*paho.SubscribeToken).Result()[topic]; granted > 2 {
		return fmt.Errorf("the broker does not let this box read %s", topic)
	}
	return nil
}

// wait waits for a token, and says what it was for.
func wait(what string, token paho.Token, limit time.Duration) error {
	if !token.WaitTimeout(limit) {
		return fmt.Errorf("%s: no answer after %s", what, limit)
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// serve sends and listens. It returns an error when the connection is of no
// more use, and nil when ctx is done and the last send is over.
func (s *session) serve(ctx context.Context) error {
	tick := time.NewTicker(min(s.o.StatusEvery, s.o.ReceiptTimeout/4))
	defer tick.Stop()
	if err := s.sayStatus(); err != nil {
		return err
	}
	done := ctx.Done()
	var deadline <-chan time.Time
	for {
		if err := s.fill(); err != nil {
			return err
		}
		if done == nil && len(s.flying) == 0 {
			return nil
		}
		select {
		case <-done:
			done, deadline = nil, time.After(lastSend)
		case <-deadline:
			return nil
		case err := <-s.lost:
			return fmt.Errorf("connection to the broker lost: %w", err)
		case message := <-s.receipts:
			s.take(message)
		case m := <-s.commands:
			if err := s.obey(m); err != nil {
				return err
			}
		case <-s.o.Outbox.Changed():
		case <-tick.C:
			if err := s.expire(); err != nil {
				return err
			}
			if err := s.sayStatus(); err != nil {
				return err
			}
		}
	}
}

// expire gives up waiting for receipts that are overdue. A broker that has not
// even acknowledged such a result is taken for dead: the library would keep a
// copy of every sending for it.
func (s *session) expire() error {
	for id, f := range s.flying {
		if time.Since(f.sent) < s.o.ReceiptTimeout {
			continue
		}
		select {
		case <-f.token.Done():
			if err := f.token.Error(); err != nil {
				return fmt.Errorf("send result: %w", err)
			}
		default:
			return fmt.Errorf("the broker has acknowledged nothing for %s", s.o.ReceiptTimeout)
		}
		s.log.Debug("no receipt from the hub", "result", id)
		delete(s.flying, id)
		s.rewind = true
	}
	return nil
}

// sayStatus publishes the box's status, retained, if it says anything new or
// the last one is old.
func (s *session) sayStatus() error {
	status := s.o.Status()
	message, err := status.Encode()
	if err != nil {
		s.log.Error("status not published", "error", err)
		return nil
	}
	if status.State != nil { // without its time
		state := *status.State
		state.Time = wire.Time{}
		status.State = &state
	}
	news, err := status.Encode()
	if err != nil {
		return err
	}
	if bytes.Equal(news, s.status) && time.Since(s.statusTime) < heartbeat {
		return nil
	}
	token := s.client.Publish(s.topics.Status(), 1, true, message)
	select {
	case <-token.Done():
		if err := token.Error(); err != nil {
			return fmt.Errorf("send status: %w", err)
		}
	default:
	}
	s.status, s.statusTime = news, time.Now()
	return nil
}
