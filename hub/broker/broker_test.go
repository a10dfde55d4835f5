package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
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

func TestStopEndsEveryConnection(t *testing.T) {
	b, err := Open("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var clients []net.Conn
	for n := range 8 {
		clients = append(clients, connect(t, b.Address(), fmt.Sprint("client-", n)))
	}
	clients[0].Close() // one leaves meanwhile
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for n, c := range clients[1:] {
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("client %d: %v", n+1, err)
		}
	}
	if c, err := net.Dial("tcp", b.Address()); err == nil {
		c.Close()
		t.Error("it still takes connections")
	}
}

// What locks up is the function that the server passes: it must not be called.
func TestListenerClosesWithoutTheServer(t *testing.T) {
	b, err := Open("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.listener.Close(func(string) { t.Error("the server was asked for its clients") })
}
