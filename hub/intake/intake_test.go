package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/hub/broker"
	"spinebox/hub/store"
	"spinebox/internal/livetest"
	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

var box = wire.Topics{Site: "north", Device: "box-1"}

func result(t *testing.T, n int) (wire.Result, []byte) {
	t.Helper()
	sum := sha256.Sum256(fmt.Append(nil, n))
	digest := hex.EncodeToString(sum[:])
	r := wire.NewResult(wire.Origin{Site: box.Site, Device: box.Device}, &spine.Image{
		Digest: digest, Sequence: uint64(n), Attempt: 1, Finished: time.Now(),
		Decision: spine.Decision{Outcome: spine.Refused, Code: spine.NotXray},
	}, digest)
	message, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return r, message
}

// run runs f until the test ends, or stop is called, which returns its error.
func run(t *testing.T, f func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return stop
}

// client is a box's end: it publishes, and keeps the receipts that come.
type client struct {
	paho.Client
	mu       sync.Mutex
	receipts []wire.Receipt
}

func connect(t *testing.T, url string) *client {
	t.Helper()
	c := &client{Client: paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("box"))}
	must := func(token paho.Token) {
		if token.Wait(); token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	must(c.Connect())
	t.Cleanup(func() { c.Disconnect(250) })
	must(c.Subscribe("spinebox/v1/+/+/receipt", 1, func(_ paho.Client, m paho.Message) {
		r, err := wire.ParseReceipt(m.Payload())
		if err != nil || m.Topic() != box.Receipt() {
			t.Errorf("receipt on %s: %v", m.Topic(), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.receipts = append(c.receipts, r)
	}))
	return c
}

func (c *client) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.receipts)
}

// setup runs a broker and an intake, and waits until it listens.
func setup(t *testing.T, kept Store, change func(*Options)) (*Intake, *client, func() error) {
	t.Helper()
	b, err := broker.Open("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	url := "tcp://" + b.Address()
	c := connect(t, url)
	listening := make(chan struct{})
	heard := sync.OnceFunc(func() { close(listening) }) // it may come twice: as retained, and as it is published
	o := Options{Broker: url, Store: kept, Backoff: 10 * time.Millisecond, OnStatus: func(s wire.Status) {
		if s.Device == "probe" {
			heard()
		}
	}}
	if change != nil {
		change(&o)
	}
	in, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	stop := run(t, in.Run)
	probe := wire.Offline(wire.Origin{Site: "north", Device: "probe"})
	message, err := probe.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c.Publish("spinebox/v1/north/probe/status", 1, true, message) // retained: it comes with the subscription
	<-listening
	return in, c, func() error {
		err := stop()
		livetest.Eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines+2 }) // the broker's two for the client
		return err
	}
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestReceiptForEachResultOnceOrAgain(t *testing.T) {
	var shown []string
	in, c, stop := setup(t, openStore(t), func(o *Options) {
		o.OnResult = func(r wire.Result) { shown = append(shown, r.ID) }
	})
	const results = 150 // more than a batch
	for n := range results {
		_, message := result(t, n+1)
		c.Publish(box.Result(), 1, false, message)
	}
	livetest.Eventually(t, "all have a receipt", func() bool { return c.count() == results })
	first, message := result(t, 1)
	c.Publish(box.Result(), 1, false, message)
	livetest.Eventually(t, "the repeated one has another", func() bool { return c.count() == results+1 })
	if got := c.receipts[results]; got.Result != first.ID || got.Image != first.Image {
		t.Errorf("the last receipt is %+v", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if len(shown) != results {
		t.Errorf("%d results were shown", len(shown))
	}
	if got, want := in.Counts(), (Counts{Stored: results, Repeated: 1}); got != want {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
}

func TestMalformedMessagesGetNoReceipt(t *testing.T) {
	in, c, _ := setup(t, openStore(t), nil)
	_, good := result(t, 1)
	for topic, message := range map[string]string{
		box.Result():                     `{"schema":"spinebox.result.v1","patient":"x"}`,
		"spinebox/v1/north/box-2/result": string(good), // another box's topic
		"spinebox/v1/north/BOX/result":   string(good),
		"spinebox/v1/north/box-1/status": `{"schema":"spinebox.status.v1"}`,
		"spinebox/v1/north/box-2/status": `{"schema":"spinebox.status.v1","use":"For research use, not a diagnosis.","site":"north","device":"box-1","online":false}`,
		"spinebox/v1/south/box-1/result": strings.Repeat("x", wire.MaxMessage+1),
	} {
		c.Publish(topic, 1, false, message)
	}
	c.Publish("spinebox/v1/north/box-1/status", 1, true, "") // takes a retained status away
	livetest.Eventually(t, "all are counted", func() bool { return in.Counts().Malformed == 6 })
	c.Publish(box.Result(), 1, false, good)
	livetest.Eventually(t, "the good one has a receipt", func() bool { return c.count() == 1 })
	if got, want := in.Counts(), (Counts{Stored: 1, Malformed: 6}); got != want {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
}

// failing is a store on a bad day.
type failing struct {
	mu  sync.Mutex
	err error
	*store.Store
}

func (f *failing) Append(results []wire.Result, received time.Time) ([]bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	return f.Store.Append(results, received)
}

func (f *failing) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func TestNoReceiptForWhatIsNotStored(t *testing.T) {
	lost := errors.New("disk gone")
	kept := &failing{Store: openStore(t), err: errors.New("disk full")}
	in, c, stop := setup(t, kept, func(o *Options) {
		o.Fatal = func(err error) bool { return errors.Is(err, lost) }
	})
	_, message := result(t, 1)
	c.Publish(box.Result(), 1, false, message)
	livetest.Eventually(t, "it is refused", func() bool { return in.Counts().Refused == 1 })
	kept.fail(nil)
	c.Publish(box.Result(), 1, false, message)
	livetest.Eventually(t, "it has a receipt", func() bool { return c.count() == 1 })
	kept.fail(lost)
	c.Publish(box.Result(), 1, false, message)
	livetest.Eventually(t, "it is refused for good", func() bool { return in.Counts().Refused == 2 })
	if err := stop(); !errors.Is(err, lost) {
		t.Errorf("the intake ended with %v", err)
	}
	if c.count() != 1 {
		t.Errorf("%d receipts", c.count())
	}
}

func TestNewRefuses(t *testing.T) {
	for _, bad := range []string{"", "hub:1883", "http://hub", "tcp://user:secret@hub:port"} {
		if _, err := New(Options{Broker: bad}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
