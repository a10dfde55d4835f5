package uplink

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"spinebox/hub/broker/brokertest"
	"spinebox/internal/livetest"
	"spinebox/sync/wire"
)

func TestBrokerAbsentAtFirst(t *testing.T) {
	address := brokertest.FreeAddress(t)
	q := newQueue()
	q.add(t, 1, time.Now())
	u := newUplink(t, "tcp://"+address, q, nil)
	goroutines := runtime.NumGoroutine()
	stop := run(t, u.Run)
	livetest.Eventually(t, "the state says why", func() bool { return strings.Contains(u.State().Error, "refused") })
	stop() // a box without a broker stops as well
	livetest.Eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })

	run(t, u.Run)
	url, _ := startBroker(t, address)
	listen(t, url, always)
	livetest.Eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
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
	livetest.Eventually(t, "the outbox is empty", func() bool { return q.len() == 0 })
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
	livetest.Eventually(t, "only the bad ones are left", func() bool { return q.len() == 2*window })
	q.add(t, 2*window+11, time.Now())
	livetest.Eventually(t, "a new one gets through", func() bool { return q.len() == 2*window })
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
	livetest.Eventually(t, "the state says why", func() bool { return strings.Contains(u.State().Error, "acknowledged nothing") })
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
