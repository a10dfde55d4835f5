package uplink

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"spinebox/internal/livetest"
	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

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
	livetest.Eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
	for n := range after {
		q.add(t, before+n+1, time.Now())
	}
	livetest.Eventually(t, "the outbox is empty again", func() bool { return q.len() == 0 })
	if got := h.distinct(); got != before+after {
		t.Errorf("%d results came, want %d", got, before+after)
	}
	livetest.Eventually(t, "the status says online", func() bool { online, _ := h.online(); return online })
	if s := u.State(); !s.Online || s.Error != "" {
		t.Errorf("while it runs: %+v", s)
	}
	stop()
	livetest.Eventually(t, "the status says offline", func() bool { online, known := h.online(); return known && !online })
	if s := u.State(); s.Online {
		t.Errorf("after it ran: %+v", s)
	}
	livetest.Eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// What waited before the connection leaves places for what comes now, and
// neither exceeds the window.
func TestWindow(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, func(wire.Result) bool { return false })
	q := newQueue()
	const old = 3 * window
	for n := range old {
		q.add(t, n+1, time.Now())
	}
	u := newUplink(t, url, q, func(o *Options) { o.ReceiptTimeout = time.Hour })
	run(t, u.Run)
	livetest.Eventually(t, "old results leave places free", func() bool { return h.distinct() == window-forLive })
	for n := range 2 * forLive {
		q.add(t, old+n+1, time.Now())
	}
	livetest.Eventually(t, "the window is full", func() bool { return h.distinct() == window })
	for receipts := range window {
		h.receipt(t, h.results()[receipts])
		livetest.Eventually(t, "another one is sent, or none waits", func() bool { return h.distinct() > window+min(receipts, forLive-1) })
		if got := h.distinct() - receipts - 1; got > window {
			t.Fatalf("%d results are on the way after %d receipts", got, receipts+1)
		}
	}
	live := 0
	for _, r := range h.results()[:window+forLive] {
		if r.Sequence > old {
			live++
		}
	}
	if live != 2*forLive {
		t.Errorf("of the first %d results sent, %d were live ones, want all %d", window+forLive, live, 2*forLive)
	}
}

func TestHistorical(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, always)
	q := newQueue()
	q.add(t, 1, time.Now().Add(-2*historicalAge))
	q.add(t, 2, time.Now())
	run(t, newUplink(t, url, q, nil).Run)
	livetest.Eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
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
	livetest.Eventually(t, "online", func() bool { online, _ := h.online(); return online })
	line.hold(true)
	livetest.Eventually(t, "offline by its will", func() bool { online, _ := h.online(); return !online })
	livetest.Eventually(t, "the box knows", func() bool { return !u.State().Online })
	line.hold(false)
	livetest.Eventually(t, "online again", func() bool { online, _ := h.online(); return online })
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
	livetest.Eventually(t, "a broker that cannot prove its name is refused", func() bool {
		return strings.Contains(stranger.State().Error, "certificate")
	})
	stop()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig
	run(t, newUplink(t, "tls://"+line.address, q, func(o *Options) { o.TLS = roots }).Run)
	livetest.Eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
}

func TestStatusOnChange(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, always)
	var mu sync.Mutex
	now := spine.Status{Version: "test"}
	asked := 0
	var said livetest.Log
	u := newUplink(t, url, newQueue(), func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&said, nil))
		o.Status = func() wire.Status {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return wire.NewStatus(box, now, time.Now().Add(time.Duration(asked)*time.Second))
		}
	})
	run(t, u.Run)
	livetest.Eventually(t, "it was asked often", func() bool { mu.Lock(); defer mu.Unlock(); return asked > 20 })
	mu.Lock()
	now.Refused = 7
	mu.Unlock()
	livetest.Eventually(t, "the change was published", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		n := len(h.status)
		return n > 0 && h.status[n-1].State != nil && h.status[n-1].State.Counts.Refused == 7
	})
	mu.Lock()
	more := asked + 20
	mu.Unlock()
	livetest.Eventually(t, "it was asked often since", func() bool { mu.Lock(); defer mu.Unlock(); return asked > more })
	h.mu.Lock()
	defer h.mu.Unlock()
	published := map[wire.Time]bool{} // a broker may hand one on twice
	for _, s := range h.status {
		if s.Online { // and no will
			published[s.State.Time] = true
		}
	}
	n := len(published)
	// One at each connection (a busy machine may lose some), and one for the
	// change, if it was not new to the hub with a connection.
	connected := strings.Count(said.String(), "broker connected")
	if n != connected+1 && (connected == 1 || n != connected) {
		t.Errorf("%d statuses were published for one change and %d connections", n, connected)
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
