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
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"spinebox/hub/broker"
	"spinebox/hub/broker/brokertest"
	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

var box = wire.Origin{Site: "north", Device: "box-1"}

// queue is an outbox in memory.
type queue struct {
	mu      sync.Mutex
	entries []wire.Outgoing
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

func (q *queue) Delivered(id string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.entries)
	q.entries = slices.DeleteFunc(q.entries, func(e wire.Outgoing) bool { return e.Result == id })
	return len(q.entries) < before, nil
}

func (q *queue) Changed() <-chan struct{} { return q.changed }

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at the condition
	}
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

func TestReceiptsClearTheOutbox(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, always)
	q := newQueue()
	const before, after = 100, 10
	for n := range before {
		q.add(t, n+1, time.Now())
	}
	u := newUplink(t, url, q, nil)
	if s := u.State(); s.Online || !s.Configured {
		t.Errorf("before it runs: %+v", s)
	}
	goroutines := runtime.NumGoroutine()
	stop := run(t, u.Run)
	eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
	for n := range after {
		q.add(t, before+n+1, time.Now())
	}
	eventually(t, "the outbox is empty again", func() bool { return q.len() == 0 })
	if got := h.distinct(); got != before+after {
		t.Errorf("%d results came, want %d", got, before+after)
	}
	eventually(t, "the status says online", func() bool { online, _ := h.online(); return online })
	if s := u.State(); !s.Online || s.Error != "" {
		t.Errorf("while it runs: %+v", s)
	}
	stop()
	eventually(t, "the status says offline", func() bool { online, known := h.online(); return known && !online })
	if s := u.State(); s.Online {
		t.Errorf("after it ran: %+v", s)
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestBrokerAbsentAtFirst(t *testing.T) {
	address := brokertest.FreeAddress(t)
	q := newQueue()
	q.add(t, 1, time.Now())
	u := newUplink(t, "tcp://"+address, q, nil)
	goroutines := runtime.NumGoroutine()
	stop := run(t, u.Run)
	eventually(t, "the state says why", func() bool { return strings.Contains(u.State().Error, "refused") })
	stop() // a box without a broker stops as well
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })

	run(t, u.Run)
	url, _ := startBroker(t, address)
	listen(t, url, always)
	eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
}

// The first three receipts for each result are lost on the way.
func TestLostReceipts(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	times := map[string]int{}
	h := listen(t, url, func(r wire.Result) bool { times[r.ID]++; return times[r.ID] > 3 })
	q := newQueue()
	for n := range 5 {
		q.add(t, n+1, time.Now())
	}
	run(t, newUplink(t, url, q, nil).Run)
	eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
	if h.distinct() != 5 || len(h.results()) < 20 {
		t.Errorf("%d results came %d times", h.distinct(), len(h.results()))
	}
}

// A hub that cannot take some results must not keep the others out, however
// many there are of them.
func TestBadResultsDoNotBlockGoodOnes(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	listen(t, url, func(r wire.Result) bool { return r.Sequence > 2*window })
	q := newQueue()
	for n := range 2*window + 10 {
		q.add(t, n+1, time.Now())
	}
	run(t, newUplink(t, url, q, nil).Run)
	eventually(t, "only the bad ones are left", func() bool { return q.len() == 2*window })
	q.add(t, 2*window+11, time.Now())
	eventually(t, "a new one gets through", func() bool { return q.len() == 2*window })
}

func TestWindow(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, func(wire.Result) bool { return false })
	q := newQueue()
	for n := range 3 * window {
		q.add(t, n+1, time.Now())
	}
	run(t, newUplink(t, url, q, func(o *Options) { o.ReceiptTimeout = time.Hour }).Run)
	for receipts := range 10 {
		eventually(t, "the window is full", func() bool { return h.distinct() >= window+receipts })
		if got := h.distinct(); got > window+receipts {
			t.Fatalf("%d results are on the way after %d receipts", got, receipts)
		}
		h.receipt(t, h.results()[receipts])
	}
}

func TestHistorical(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, always)
	q := newQueue()
	q.add(t, 1, time.Now().Add(-2*historicalAge))
	q.add(t, 2, time.Now())
	run(t, newUplink(t, url, q, nil).Run)
	eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
	for _, r := range h.results() {
		if want := r.Sequence == 1; r.Historical != want {
			t.Errorf("result %d: historical is %t", r.Sequence, r.Historical)
		}
	}
}

// A box that falls silent is offline by its will, and online as soon as it is
// back, whatever the broker still thinks of its last connection.
func TestWill(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, always)
	line := openLine(t, strings.TrimPrefix(url, "tcp://"), nil)
	u := newUplink(t, "tcp://"+line.address, newQueue(), func(o *Options) { o.Backoff = 50 * time.Millisecond })
	run(t, u.Run)
	eventually(t, "online", func() bool { online, _ := h.online(); return online })
	line.hold(true)
	eventually(t, "offline by its will", func() bool { online, _ := h.online(); return !online })
	eventually(t, "the box knows", func() bool { return !u.State().Online })
	line.hold(false)
	eventually(t, "online again", func() bool { online, _ := h.online(); return online })
}

func TestTLS(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	listen(t, url, always)
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	line := openLine(t, strings.TrimPrefix(url, "tcp://"), server.TLS)
	q := newQueue()
	q.add(t, 1, time.Now())
	stranger := newUplink(t, "tls://"+line.address, q, nil)
	stop := run(t, stranger.Run)
	eventually(t, "a broker that cannot prove its name is refused", func() bool {
		return strings.Contains(stranger.State().Error, "certificate")
	})
	stop()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig
	run(t, newUplink(t, "tls://"+line.address, q, func(o *Options) { o.TLS = roots }).Run)
	eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
}

func TestStatusOnChange(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, always)
	var mu sync.Mutex
	now := spine.Status{Version: "test"}
	asked := 0
	u := newUplink(t, url, newQueue(), func(o *Options) {
		o.Status = func() wire.Status {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return wire.NewStatus(box, now, time.Now().Add(time.Duration(asked)*time.Second))
		}
	})
	run(t, u.Run)
	eventually(t, "it was asked often", func() bool { mu.Lock(); defer mu.Unlock(); return asked > 10 })
	mu.Lock()
	now.Refused = 7
	mu.Unlock()
	eventually(t, "the change was published", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		n := len(h.status)
		return n > 0 && h.status[n-1].State != nil && h.status[n-1].State.Counts.Refused == 7
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.status) != 2 {
		t.Errorf("%d statuses were published for one change", len(h.status))
	}
}

// A broker that takes everything and acknowledges nothing must not fill the
// box's memory with copies.
func TestBrokerThatNeverAcknowledges(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections := make(chan struct{}, 100)
	run(t, func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { l.Close() })
		for {
			conn, err := l.Accept()
			if err != nil {
				return nil
			}
			connections <- struct{}{}
			go deaf(conn)
		}
	})
	q := newQueue()
	q.add(t, 1, time.Now())
	u := newUplink(t, "tcp://"+l.Addr().String(), q, nil)
	run(t, u.Run)
	<-connections
	eventually(t, "the state says why", func() bool { return strings.Contains(u.State().Error, "acknowledged nothing") })
	<-connections
	if q.len() != 1 {
		t.Error("the result is gone")
	}
}

// deaf answers connects and subscriptions, and nothing else.
func deaf(conn net.Conn) {
	defer conn.Close()
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packets.ConnectPacket:
			packets.NewControlPacket(packets.Connack).Write(conn)
		case *packets.SubscribePacket:
			ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			ack.MessageID, ack.ReturnCodes = p.MessageID, []byte{1}
			ack.Write(conn)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"must be like":      func(o *Options) { o.Broker = "http://hub" },
		"not a URL":         func(o *Options) { o.Broker = "tcp://user:secret@hub:port" },
		"device":            func(o *Options) { o.From.Device = "Box 1" },
		"no outbox":         func(o *Options) { o.Outbox = nil },
		"tls://host:8883":   func(o *Options) { o.Broker = "" },
		"like tcp://host:1": func(o *Options) { o.Broker = "tcp://hub/path" },
	} {
		o := Options{Broker: "tcp://hub", From: box, Outbox: newQueue(), Status: func() wire.Status { return wire.Offline(box) }}
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

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
