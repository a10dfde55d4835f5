// Package broker is an MQTT broker inside the hub's process, for the demo and
// for tests. It keeps everything in memory and lets everybody in: a site runs
// a real one.
package broker

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
)

// Broker is a broker that listens.
type Broker struct {
	listener *listener
	server   *mqtt.Server
	log      *slog.Logger
}

// Open takes the address, host:port; port 0 is any free one. Clients may
// connect from now on, and are served once Run runs.
func Open(address string, log *slog.Logger) (*Broker, error) {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open embedded broker: %w", err)
	}
	listener := &listener{Listener: tcp, connections: map[net.Conn]bool{}}
	// Its own words are about sockets; what matters here is said by intake.
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, fmt.Errorf("open embedded broker: %w", err)
	}
	if err := server.AddListener(listener); err != nil {
		return nil, fmt.Errorf("open embedded broker: %w", err)
	}
	return &Broker{listener, server, log}, nil
}

// Address returns where the broker listens, host:port.
func (b *Broker) Address() string { return b.listener.Address() }

// Run serves until ctx is done, and then drops every client.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("run embedded broker: %w", err)
	}
	b.log.Info("embedded broker listens; it lets everybody in", "address", b.Address())
	<-ctx.Done()
	if err := b.server.Close(); err != nil {
		return fmt.Errorf("close embedded broker: %w", err)
	}
	return nil
}
