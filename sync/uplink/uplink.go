// Package uplink carries the outbox to the hub over MQTT, and keeps the box's
// status at the broker.
//
// It trusts nobody but the hub. A result leaves the outbox on the hub's
// receipt, which the hub sends once it has the result on its disk; the
// broker's acknowledgement means little (mosquitto killed with its default
// settings forgot every message it had acknowledged), and the client library's
// word for it means less: a finished token without an error may be a lost
// connection (eclipse-paho/paho.mqtt.golang#563). So results are sent until
// they are receipted, a bounded number at a time, and the hub takes the same
// result any number of times. A broker that is absent, dies or forgets costs
// time and nothing else.
//
// Of the library only one connection is used at a time and then thrown away:
// its own reconnecting, and its store on disk, lose and repeat in ways that
// cannot be seen from outside.
package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

// Outbox is what waits for the hub.
type Outbox interface {
	// Pending MUST return the first limit results after the given sequence,
	// in the order of their sequences.
	Pending(after uint64, limit int) ([]wire.Outgoing, error)
	// Delivered MUST have removed the results for good when it returns without
	// an error. One that is not there is no error.
	Delivered(resultIDs ...string) (found int, err error)
	// Last MUST return the greatest sequence that was given so far.
	Last() uint64
	// Changed MUST receive after something was put into the outbox.
	Changed() <-chan struct{}
}

// Options of an uplink. From, Broker, Outbox and Status are needed.
type Options struct {
	Broker   string      // tcp://host:1883 or tls://host:8883
	Username string      // also from the broker's URL
	Password string      // also from the broker's URL
	TLS      *tls.Config // nil: the system's roots

	From   wire.Origin // site and device; the key is not used
	Outbox Outbox
	Status func() wire.Status // what the box says of itself now; called often
	Log    *slog.Logger

	// Command takes what the hub asks of the box, each request once. It MUST
	// NOT block; an error refuses the command. Nil refuses all but status,
	// which is answered here.
	Command func(wire.Command) error

	ReceiptTimeout time.Duration // until a result is sent again; default 30 s
	StatusEvery    time.Duration // the shortest time between two statuses; default 2 s
	Backoff        time.Duration // after the first connection lost, doubling to 15 s; default 1 s
	Now            func() time.Time
}

const (
	window         = 128              // results without a receipt at a time
	forLive        = 16               // places of the window that old results leave free
	historicalAge  = 10 * time.Second // a result older than this has waited
	heartbeat      = time.Minute      // between statuses that say nothing new
	longestBackoff = 15 * time.Second
	connectTimeout = 10 * time.Second
	writeTimeout   = 5 * time.Second
	lastSend       = 2 * time.Second // for the results in hand when the box stops
)

// Uplink is the way from one box to the hub.
type Uplink struct {
	o      Options
	broker *url.URL // without user and password
	topics wire.Topics
	log    *slog.Logger

	obedience, refusals, rubbish seldom // what is said of commands and receipts

	mu     sync.Mutex
	state  spine.LinkStatus
	obeyed []string // the identifiers of the latest commands
}

// New checks the options. It connects to nothing.
func New(o Options) (*Uplink, error) {
	if o.Outbox == nil || o.Status == nil {
		return nil, errors.New("uplink: no outbox or no status")
	}
	topics, err := wire.NewTopics(o.From.Site, o.From.Device)
	if err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	broker, err := parseBroker(o.Broker)
	if err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	if user := broker.User; user != nil {
		o.Username = user.Username()
		o.Password, _ = user.Password()
		broker.User = nil
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for value, standard := range map[*time.Duration]time.Duration{
		&o.ReceiptTimeout: 30 * time.Second, &o.StatusEvery: 2 * time.Second, &o.Backoff: time.Second,
	} {
		if *value <= 0 {
			*value = standard
		}
	}
	return &Uplink{
		o: o, broker: broker, topics: topics, log: o.Log.With("broker", broker.String()),
		state: spine.LinkStatus{Configured: true},
	}, nil
}

// parseBroker wants a scheme and a host, and adds the scheme's port. Its
// errors do not repeat the address, which may hold a password.
func parseBroker(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the broker's address is not a URL like tcp://host:1883")
	}
	port := map[string]string{"tcp": "1883", "tls": "8883"}[u.Scheme]
	if port == "" || u.Hostname() == "" || u.Path != "" {
		return nil, errors.New("the broker's address must be like tcp://host:1883 or tls://host:8883")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// State returns how the connection is.
func (u *Uplink) State() spine.LinkStatus {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// setState notes, and logs, a change. The error says why it is not online, and
// is nil when the box itself wants no connection.
func (u *Uplink) setState(online bool, err error) {
	u.mu.Lock()
	state := u.state
	state.Online, state.Error = online, ""
	if err != nil {
		state.Error = err.Error()
	}
	changed := state != u.state
	u.state = state
	u.mu.Unlock()
	switch {
	case !changed:
	case online:
		u.log.Info("broker connected")
	case err != nil:
		u.log.Warn("broker not connected", "error", err)
	default:
		u.log.Info("broker left")
	}
}

// Run connects, and connects again, until ctx is done. Then it gives the
// results in hand a last 2 seconds, says that the box is offline, and returns;
// a network that takes nothing can hold it up for 5 seconds more. A broker
// that cannot be reached is no error: State tells of it.
func (u *Uplink) Run(ctx context.Context) error {
	wait := u.o.Backoff
	for {
		began := time.Now()
		err := u.session(ctx)
		if ctx.Err() != nil {
			u.setState(false, nil)
			return nil
		}
		u.setState(false, err)
		// A broker that lets us in and throws us out again (another box with
		// our name is enough) is no reason to begin from the shortest wait.
		if time.Since(began) > longestBackoff {
			wait = u.o.Backoff
		}
		// Jitter, so that the boxes of a hospital do not all come back at the
		// same moment after its network did.
		pause := time.NewTimer(wait/2 + rand.N(wait/2+1))
		select {
		case <-ctx.Done():
			pause.Stop()
		case <-pause.C:
		}
		wait = min(2*wait, longestBackoff)
	}
}
