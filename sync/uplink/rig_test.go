package uplink

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/hub/broker"
	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

var box = wire.Origin{Site: "north", Device: "box-1"}

// queue is an outbox in memory.
type queue struct {
	mu      sync.Mutex
	entries []wire.Outgoing
	last    uint64
	changed chan struct{}
}

func newQueue() *queue { return &queue{changed: make(chan struct{}, 1)} }

// add puts the nth result into the queue, as committed at that time.
func (q *queue) add(t *testing.T, n int, queued time.Time) {
	t.Helper()
	sum := sha256.Sum256(fmt.Append(nil, n))
	digest := hex.EncodeToString(sum[:])
	r := wire.NewResult(box, &spine.Image{
		Digest: digest, Sequence: uint64(n), Attempt: 1, Finished: queued,
		Decision: spine.Decision{Outcome: spine.Refused, Code: spine.NotXray},
	}, digest)
	message, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	q.mu.Lock()
	q.entries = append(q.entries, wire.Outgoing{Sequence: uint64(n), Result: r.ID, Message: message, Queued: queued})
	q.last = max(q.last, uint64(n))
	q.mu.Unlock()
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

func (q *queue) Pending(after uint64, limit int) ([]wire.Outgoing, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var pending []wire.Outgoing
	for _, e := range q.entries {
		if e.Sequence > after && len(pending) < limit {
			pending = append(pending, e)
		}
	}
	return pending, nil
}

func (q *queue) Delivered(ids ...string) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.entries)
	q.entries = slices.DeleteFunc(q.entries, func(e wire.Outgoing) bool { return slices.Contains(ids, e.Result) })
	return before - len(q.entries), nil
}

func (q *queue) Last() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

func (q *queue) Changed() <-chan struct{} { return q.changed }

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// startBroker runs an embedded broker until the test ends, or stop is called.
func startBroker(t *testing.T, address string) (url string, stop func()) {
	t.Helper()
	b, err := broker.Open(address, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return "tcp://" + b.Address(), run(t, b.Run)
}

// run runs f until the test ends, or stop is called.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// newUplink makes an uplink that loses no time.
func newUplink(t *testing.T, url string, q *queue, change func(*Options)) *Uplink {
	t.Helper()
	o := Options{
		Broker: url, From: box, Outbox: q, Log: quiet(),
		Status:         func() wire.Status { return wire.NewStatus(box, spine.Status{Version: "test"}, time.Now()) },
		ReceiptTimeout: 200 * time.Millisecond, StatusEvery: 20 * time.Millisecond, Backoff: 10 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	u, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// hub is a hub that does what a test says.
type hub struct {
	client paho.Client
	mu     sync.Mutex
	came   []wire.Result
	status []wire.Status
}

// listen connects a hub that answers a result if answer says so.
func listen(t *testing.T, url string, answer func(wire.Result) bool) *hub {
	t.Helper()
	h := &hub{client: paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("hub").SetOrderMatters(false))}
	if err := wait("connect", h.client.Connect(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.client.Disconnect(250) })
	token := h.client.SubscribeMultiple(map[string]byte{wire.AllResults: 1, wire.AllStatuses: 1}, func(_ paho.Client, m paho.Message) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if s, err := wire.ParseStatus(m.Payload()); err == nil {
			h.status = append(h.status, s)
			return
		}
		r, err := wire.ParseResult(m.Payload())
		if err != nil {
			t.Error(err)
			return
		}
		h.came = append(h.came, r)
		if answer(r) {
			h.receipt(t, r)
		}
	})
	if err := wait("subscribe", token, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hub) receipt(t *testing.T, r wire.Result) {
	message, err := wire.NewReceipt(r, time.Now()).Encode()
	if err != nil {
		t.Error(err)
	}
	topics := wire.Topics{Site: r.Site, Device: r.Device}
	h.client.Publish(topics.Receipt(), 1, false, message)
}

func (h *hub) results() []wire.Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.came)
}

// distinct returns how many different results came.
func (h *hub) distinct() int {
	ids := map[string]bool{}
	for _, r := range h.results() {
		ids[r.ID] = true
	}
	return len(ids)
}

// online returns the last status, and whether there is one.
func (h *hub) online() (online, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.status) == 0 {
		return false, false
	}
	return h.status[len(h.status)-1].Online, true
}

func always(wire.Result) bool { return true }

// line is a connection to the broker that can be cut.
type line struct {
	address string
	mu      sync.Mutex
	held    bool
	conns   []net.Conn
}

// openLine opens a line, encrypted if there is a configuration for it.
func openLine(t *testing.T, broker string, config *tls.Config) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	ln := &line{address: l.Addr().String()}
	run(t, func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { l.Close(); ln.hold(true) })
		for {
			near, err := l.Accept()
			if err != nil {
				return nil
			}
			far, err := net.Dial("tcp", broker)
			if err != nil || !ln.keep(near, far) {
				near.Close()
				continue
			}
			go func() { io.Copy(far, near); far.Close() }()
			go func() { io.Copy(near, far); near.Close() }()
		}
	})
	return ln
}

func (l *line) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conns...)
	return !l.held
}

// hold cuts the line, and keeps it cut until it is let go.
func (l *line) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	if held {
		for _, c := range l.conns {
			c.Close()
		}
		l.conns = nil
	}
}
