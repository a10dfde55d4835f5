package uplink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/rs/zerolog"

	"spinebox/hub/broker/brokertest"
	"spinebox/internal/livetest"
)

func torture(t *testing.T) {
	t.Helper()
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("a long test: SPINEBOX_TORTURE=1 runs it")
	}
}

// network is a network between box and broker that can be spoiled.
type network struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func (n *network) lay(broker string) string {
	n.t.Helper()
	address := brokertest.FreeAddress(n.t)
	n.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "line", address, broker)
	if err := n.proxy.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(n.proxy.Stop)
	return address
}

func (n *network) spoil(toxics []string) {
	n.t.Helper()
	for _, toxic := range toxics {
		if _, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			n.t.Fatalf("%s: %v", toxic, err)
		}
	}
}

// cut ends all connections, and lets no new one in for a moment.
func (n *network) cut() {
	n.t.Helper()
	n.proxy.Stop()
	if err := n.proxy.Start(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) heal() { n.proxy.Toxics.ResetToxics(context.Background()) }

// spoilings are what a network does, by name.
func spoilings() map[string][]string {
	return map[string][]string{
		"cut":       nil,
		"reset":     {`{"type":"reset_peer","attributes":{"timeout":50}}`},
		"half-open": {`{"name":"up","type":"timeout","stream":"upstream","attributes":{"timeout":0}}`},
		"deaf":      {`{"name":"down","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`},
		"slow": {`{"name":"late","type":"latency","attributes":{"latency":150,"jitter":100}}`,
			`{"name":"narrow","type":"bandwidth","stream":"upstream","attributes":{"rate":40}}`},
		"in bits": {`{"type":"slicer","stream":"upstream","attributes":{"average_size":7,"size_variation":5,"delay":100}}`},
		"ends":    {`{"type":"limit_data","stream":"upstream","attributes":{"bytes":3000}}`},
	}
}

// ours counts the goroutines of boxes, hubs and their MQTT library; those of
// the network in between come and go as it likes.
func ours() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "paho.mqtt.golang.") || strings.Contains(stack, "uplink.(*session)") || strings.Contains(stack, "intake.(*Intake)") {
			n++
		}
	}
	return n
}

// Whatever the network does, nothing is lost, nothing is there twice, the box
// is back by itself, and its goroutines are as many as before.
func TestSpoiltNetworks(t *testing.T) { spoil(t, 1) }

func TestTortureSpoiltNetworks(t *testing.T) {
	torture(t)
	spoil(t, 8)
}

func spoil(t *testing.T, rounds int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	n := &network{t: t}
	s := newSite(t, n.lay)
	s.broker.Start()
	s.run(s.uplink.Run)
	s.startHub()
	s.more(5)
	livetest.Eventually(t, "it works", s.outboxEmpty)
	goroutines := ours()
	for range rounds {
		for name, toxics := range spoilings() {
			s.more(5 + random.IntN(10))
			n.spoil(toxics)
			if toxics == nil {
				n.cut()
			}
			s.more(5 + random.IntN(20))
			time.Sleep(time.Duration(300+random.IntN(700)) * time.Millisecond) // it lasts
			s.more(5)
			n.heal()
			began := time.Now()
			livetest.Eventually(t, "the outbox is empty after the network was "+name, s.outboxEmpty)
			if back := time.Since(began); back > 60*time.Second {
				t.Errorf("%s: back after %s", name, back)
			}
			s.check(s.images, 1)
			if t.Failed() {
				t.Fatalf("after the network was %s", name)
			}
		}
	}
	livetest.Eventually(t, "the goroutines are as many as before", func() bool { return ours() <= goroutines })
	t.Logf("%d images", s.images)
}

// meddler stands between box and broker and changes what is said.
type meddler struct {
	t    *testing.T
	mode atomic.Pointer[string]
}

// The ways of a broker that cannot be trusted.
const (
	honest     = "honest"
	silent     = "never acknowledges" // results arrive, their acknowledgements do not
	liar       = "acknowledges what it then loses"
	stammering = "acknowledges twice"
	repeating  = "delivers twice"
)

func (m *meddler) become(mode string) { m.mode.Store(&mode) }

func (m *meddler) lay(broker string) string {
	m.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { l.Close() })
	m.become(honest)
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", broker)
			if err != nil {
				near.Close()
				continue
			}
			go m.carry(near, far, m.fromBox)
			go m.carry(far, near, m.fromBroker)
		}
	}()
	return l.Addr().String()
}

// carry hands packets on, as often as the function says, and its answer back.
func (m *meddler) carry(from, to net.Conn, change func(packets.ControlPacket) (times int, answer packets.ControlPacket)) {
	defer from.Close()
	defer to.Close()
	for {
		p, err := packets.ReadPacket(from)
		if err != nil {
			return
		}
		times, answer := change(p)
		for range times {
			if p.Write(to) != nil {
				return
			}
		}
		if answer != nil && answer.Write(from) != nil {
			return
		}
	}
}

func (m *meddler) fromBox(p packets.ControlPacket) (int, packets.ControlPacket) {
	publish, ok := p.(*packets.PublishPacket)
	if !ok || !strings.HasSuffix(publish.TopicName, "/result") {
		return 1, nil
	}
	switch *m.mode.Load() {
	case liar:
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = publish.MessageID
		return 0, ack
	case repeating:
		return 2, nil
	}
	return 1, nil
}

func (m *meddler) fromBroker(p packets.ControlPacket) (int, packets.ControlPacket) {
	switch p.(type) {
	case *packets.PubackPacket:
		switch *m.mode.Load() {
		case silent:
			return 0, nil
		case stammering:
			return 2, nil
		}
	case *packets.PublishPacket: // a receipt
		if *m.mode.Load() == repeating {
			return 2, nil
		}
	}
	return 1, nil
}

// A broker's word for a result is worth nothing, whichever way it is false.
func TestBrokersThatCannotBeTrusted(t *testing.T) { distrust(t, 1) }

func TestTortureBrokersThatCannotBeTrusted(t *testing.T) {
	torture(t)
	distrust(t, 10)
}

func distrust(t *testing.T, rounds int) {
	m := &meddler{t: t}
	s := newSite(t, m.lay)
	s.broker.Start()
	s.run(s.uplink.Run)
	s.startHub()
	s.more(5)
	livetest.Eventually(t, "it works", s.outboxEmpty)
	goroutines := ours()
	for range rounds {
		for _, mode := range []string{silent, liar, stammering, repeating} {
			m.become(mode)
			before := s.ledger.Outbox()
			s.more(30)
			switch mode {
			case liar:
				time.Sleep(700 * time.Millisecond) // it acknowledges for longer than a receipt is waited for
				if waits := s.ledger.Outbox(); waits != before+30 {
					t.Errorf("a broker that %s: %d of 30 results wait", mode, waits-before)
				}
			case stammering, repeating:
				livetest.Eventually(t, "the outbox is empty although the broker "+mode, s.outboxEmpty)
			}
			m.become(honest)
			livetest.Eventually(t, "the outbox is empty after a broker that "+mode, s.outboxEmpty)
			s.check(s.images, 1)
		}
	}
	livetest.Eventually(t, "the goroutines are as many as before", func() bool { return ours() <= goroutines })
}

// The broker is killed, and with it goes all that it had acknowledged.
func TestTortureBrokerKilledAndItsStoreDeleted(t *testing.T) {
	torture(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newSite(t)
	s.broker.Start()
	s.run(s.uplink.Run)
	s.startHub()
	s.more(10)
	livetest.Eventually(t, "it works", s.outboxEmpty)
	goroutines := ours()
	for round := range 20 {
		s.more(random.IntN(40))
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond) // anywhere in the stream
		s.broker.Kill()
		s.more(random.IntN(40))
		s.broker.Start() // with an empty store
		began := time.Now()
		s.more(5)
		livetest.Eventually(t, "the outbox is empty", s.outboxEmpty)
		if back := time.Since(began); back > 60*time.Second {
			t.Errorf("round %d: back after %s", round, back)
		}
		s.check(s.images, 1)
	}
	livetest.Eventually(t, "the goroutines are as many as before", func() bool { return ours() <= goroutines })
	t.Log(fmt.Sprint(s.images, " images"))
}
