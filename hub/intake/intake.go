// Package intake takes the boxes' results from the broker, has them stored,
// and then, not before, answers each with a receipt. What it cannot read is
// counted and gets none.
package intake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"spinebox/sync/wire"
)

// Store keeps results.
type Store interface {
	// Append MUST have all results on the disk when it returns without an
	// error, and MUST take one that it has already. It reports for each
	// whether it is new.
	Append(results []wire.Result, received time.Time) (fresh []bool, err error)
}

// Options of an intake. Broker and Store are needed.
type Options struct {
	Broker   string      // tcp://host:1883, or tls://host:8883
	Username string      // also from the broker's URL
	Password string      // also from the broker's URL
	TLS      *tls.Config // nil: the system's roots
	Store    Store
	Log      *slog.Logger

	OnResult func(wire.Result) // a new result, once it is stored
	OnStatus func(wire.Status) // a box's status, as it comes

	// Fatal reports whether an error of the store is one after which it is of
	// no more use. Others (a full disk) pass: the boxes send again.
	Fatal func(error) bool

	Backoff time.Duration // between two connections; default 1 s
	Now     func() time.Time
}

// Counts are of messages since the start.
type Counts struct {
	Stored    uint64 // new results
	Repeated  uint64 // results that were there already
	Malformed uint64 // not readable, or sent on another box's topic
	Refused   uint64 // not taken by the store; their boxes send them again
	Dropped   uint64 // came faster than they could be stored; likewise
}

// Intake is the hub's ear.
type Intake struct {
	o      Options
	broker *url.URL // without user and password
	log    *slog.Logger

	mu     sync.Mutex
	counts Counts
}

const (
	queue          = 1024 // messages
	batch          = 64   // results for one write to the disk
	connectTimeout = 5 * time.Second
)

// New checks the options. It connects to nothing.
func New(o Options) (*Intake, error) {
	broker, err := url.Parse(o.Broker)
	if err != nil || broker.Hostname() == "" || broker.Scheme != "tcp" && broker.Scheme != "tls" {
		// The address is not repeated: it may hold a password.
		return nil, errors.New("the broker's address must be like tcp://host:1883 or tls://host:8883")
	}
	if broker.Port() == "" {
		broker.Host += map[string]string{"tcp": ":1883", "tls": ":8883"}[broker.Scheme]
	}
	if user := broker.User; user != nil {
		o.Username = user.Username()
		o.Password, _ = user.Password()
		broker.User = nil
	}
	if o.OnResult == nil {
		o.OnResult = func(wire.Result) {}
	}
	if o.OnStatus == nil {
		o.OnStatus = func(wire.Status) {}
	}
	if o.Fatal == nil {
		o.Fatal = func(error) bool { return false }
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Intake{o: o, broker: broker, log: o.Log.With("broker", broker.String())}, nil
}

// Counts returns what has come so far.
func (in *Intake) Counts() Counts {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.counts
}

func (in *Intake) count(change func(*Counts)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	change(&in.counts)
}

// Run listens until ctx is done. A broker that is absent is waited for; it
// returns an error only when the store is of no more use.
func (in *Intake) Run(ctx context.Context) error {
	last := ""
	for {
		err := in.session(ctx)
		if in.o.Fatal(err) {
			return fmt.Errorf("take in results: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err.Error() != last { // a broker that stays away says so once
			last = err.Error()
			in.log.Warn("broker not connected", "error", err)
		}
		pause := time.NewTimer(in.o.Backoff/2 + rand.N(in.o.Backoff))
		select {
		case <-ctx.Done():
			pause.Stop()
		case <-pause.C:
		}
	}
}

// session runs one connection until it is lost, ctx is done, or the store has
// had enough. It always returns an error, if only that of ctx.
func (in *Intake) session(ctx context.Context) error {
	messages := make(chan paho.Message, queue)
	lost := make(chan error, 1)
	client := paho.NewClient(in.options(lost))
	defer client.Disconnect(250)
	if err := in.listen(ctx, client, messages); err != nil {
		return err
	}
	in.log.Info("broker connected")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return fmt.Errorf("connection to the broker lost: %w", err)
		case first := <-messages:
			if err := in.take(client, gather(first, messages)); err != nil {
				return err
			}
		}
	}
}

func (in *Intake) options(lost chan<- error) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.Servers = []*url.URL{in.broker}
	// A name of its own: two hubs that take each other's place would both be
	// deaf. A clean session: what comes while the hub is away stays at the
	// boxes, which have no receipt for it.
	o.SetClientID(fmt.Sprintf("spinehub-%08x", rand.Uint32()))
	o.SetUsername(in.o.Username).SetPassword(in.o.Password)
	if in.o.TLS != nil {
		o.SetTLSConfig(in.o.TLS)
	}
	o.SetProtocolVersion(4)
	o.SetAutoReconnect(false).SetConnectRetry(false)
	o.SetCleanSession(true).SetStore(paho.NewMemoryStore())
	o.SetConnectTimeout(connectTimeout).SetWriteTimeout(connectTimeout)
	o.SetKeepAlive(30 * time.Second).SetPingTimeout(10 * time.Second)
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		select {
		case lost <- err:
		default:
		}
	})
	return o
}

// listen connects and subscribes.
func (in *Intake) listen(ctx context.Context, client paho.Client, messages chan<- paho.Message) error {
	if err := wait(ctx, "connect to the broker", client.Connect()); err != nil {
		return err
	}
	topics := map[string]byte{wire.AllResults: 1, wire.AllStatuses: 1}
	token := client.SubscribeMultiple(topics, func(_ paho.Client, m paho.Message) {
		// The library's goroutine must not wait: it also reads the broker's
		// acknowledgements. Boxes repeat a result that gets no receipt.
		select {
		case messages <- m:
		default:
			in.count(func(c *Counts) { c.Dropped++ })
		}
	})
	if err := wait(ctx, "subscribe to results", token); err != nil {
		return err
	}
	for topic, granted := range token.(*paho.SubscribeToken).Result() {
		if granted > 2 {
			return fmt.Errorf("the broker does not let this hub read %s", topic)
		}
	}
	return nil
}

func wait(ctx context.Context, what string, token paho.Token) error {
	limit := time.NewTimer(2 * connectTimeout)
	defer limit.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-limit.C:
		return fmt.Errorf("%s: no answer", what)
	case <-token.Done():
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// gather takes what else has come, so that one write to the disk serves many.
func gather(first paho.Message, messages <-chan paho.Message) []paho.Message {
	all := []paho.Message{first}
	for len(all) < batch {
		select {
		case m := <-messages:
			all = append(all, m)
		default:
			return all
		}
	}
	return all
}
