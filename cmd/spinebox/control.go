package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// control is how this program's commands reach the running service: a unix
// socket in the data folder, which nobody but the service's own user (and root)
// may enter. A request is POST /NAME with a JSON object; the answer is JSON.
type control struct {
	dir      string
	listener net.Listener
	mux      *http.ServeMux
	log      *slog.Logger
}

// controlName is the socket's name in the data folder.
const controlName = "control"

// errNotRunning says that no service listens: the command may do by itself what
// it would have asked for.
var errNotRunning = errors.New("the service does not run")

// maxRequest is the most bytes of a request or an answer.
const maxRequest = 16 << 20

// complaint is the answer to a request that could not be met.
type complaint struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

// openControl opens the socket of a service that holds the data folder: what
// lies there is left from a service that died.
func openControl(dir string, log *slog.Logger) (*control, error) {
	c := &control{dir: dir, mux: http.NewServeMux(), log: log}
	if err := c.remove(); err != nil {
		return nil, err
	}
	err := atSocket(dir, func(path string) (err error) {
		c.listener, err = net.Listen("unix", path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	c.listener.(*net.UnixListener).SetUnlinkOnClose(false) // it knows the socket by atSocket's path
	if err := os.Chmod(filepath.Join(dir, controlName), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open the control socket: %w", err), c.Close())
	}
	return c, nil
}

// atSocket calls use with a path to the socket that is short whatever the data
// folder's name is: the kernel takes no more than 107 bytes.
func atSocket(dir string, use func(path string) error) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), controlName))
}

func (c *control) remove() error {
	if err := os.Remove(filepath.Join(c.dir, controlName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the control socket: %w", err)
	}
	return nil
}

// Close removes the socket.
func (c *control) Close() error {
	err := c.listener.Close()
	if errors.Is(err, net.ErrClosed) { // Run has ended
		err = nil
	}
	return errors.Join(err, c.remove())
}

// handle answers the requests of one name. The request is what its JSON says;
// an error goes to whoever asked, with its hint.
func handle[Request any](c *control, name string, do func(context.Context, Request) (answer any, err error)) {
	c.mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		var request Request
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&request)
		var answer any
		if err == nil {
			answer, err = do(r.Context(), request)
		}
		if err != nil {
			c.log.Info("a command was not done", "command", name, "error", err)
			answer = complaintOf(err)
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			c.log.Warn("a command's answer did not arrive", "command", name, "error", err)
		}
	})
}

func complaintOf(err error) complaint {
	said := complaint{Error: err.Error()}
	if h, ok := errors.AsType[*hinted](err); ok {
		said.Hint = h.hint
	}
	return said
}

// Run answers until ctx ends. Requests under way are finished for a second.
func (c *control) Run(ctx context.Context) error { return serveUntil(ctx, c.listener, c.mux, c.log) }

// serveUntil serves until ctx ends, and returns its error. Requests under way
// are finished for a second.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(deadline) != nil {
		server.Close()
	}
	<-served
	return ctx.Err()
}

// ask sends a request to the service that holds the data folder, and reads its
// answer into answer. It returns errNotRunning when there is none.
func ask(ctx context.Context, dir, name string, request, answer any) error {
	response, err := post(ctx, dir, name, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxRequest))
	if err != nil {
		return fmt.Errorf("read the service's answer: %w", err)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("understand the service's answer: %w", err)
	}
	return nil
}

// post sends a request and returns the answer of a service that did what was
// asked; its body is the caller's to close.
func post(ctx context.Context, dir, name string, request any) (*http.Response, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("ask the service: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = atSocket(dir, func(path string) error {
			conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
			return err
		})
		return conn, err
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://spinebox/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the service: %w", err)
	}
	response, err := client.Do(r)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNotRunning
	case errors.Is(err, os.ErrPermission):
		return nil, withHint(fmt.Errorf("ask the service: %w", err), "run it as the service's user: sudo -u spinebox spinebox …")
	case err != nil:
		return nil, fmt.Errorf("ask the service: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxRequest))
	if err != nil {
		return nil, fmt.Errorf("read the service's answer: %w", err)
	}
	var said complaint
	if json.Unmarshal(raw, &said) != nil || said.Error == "" {
		return nil, withHint(fmt.Errorf("the service knows no command %q", name), "restart it: it is older than this program")
	}
	err = errors.New(said.Error)
	if said.Hint != "" {
		err = withHint(err, said.Hint)
	}
	return nil, err
}
