package broker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
)

// connect makes an MQTT 3.1.1 connection by hand.
func connect(t *testing.T, address, name string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	// Fixed header; protocol name and level; clean session; keep-alive 60 s;
	// client identifier.
	packet := append([]byte{0x10, byte(12 + len(name)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, byte(len(name))}, name...)
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	var answer [4]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil || answer != [4]byte{0x20, 2, 0, 0} {
		t.Fatalf("the broker answers % x, %v", answer, err)
	}
	return c
}

// A broker that closes while its clients leave must not lock up.
func TestCloseWhileClientsLeave(t *testing.T) {
	for range 20 {
		b, err := Open("127.0.0.1:0", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		var leaving sync.WaitGroup
		for n := range 8 {
			c := connect(t, b.Address(), fmt.Sprint("client-", n))
			leaving.Go(func() { <-ctx.Done(); c.Close() })
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		leaving.Wait()
	}
}
