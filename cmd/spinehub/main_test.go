package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"spinebox/hub/broker/brokertest"
	"spinebox/internal/scripttest"
	"spinebox/internal/spine"
	"spinebox/sync/ledger"
	"spinebox/sync/uplink"
	"spinebox/sync/wire"
)

// The test binary is the program itself: a script's `spinehub` is main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"spinehub": main})
}

func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Setenv("ADDRESS", l.Addr().String())
			e.Setenv("TZ", "UTC")
			return l.Close()
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"box":   scriptBox,
			"exits": scripttest.Exits,
			"until": scripttest.Until,
		},
	})
}

// A hub on a real broker, which outlives it.
func TestServeWithMosquitto(t *testing.T) {
	m := brokertest.New(t)
	m.Start()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var out, log bytes.Buffer // read only when the hub has stopped
	hub := serving{broker: m.URL(), store: t.TempDir()}
	done := make(chan error, 1)
	go func() { done <- hub.run(ctx, &out, slog.New(slog.NewTextHandler(&log, nil))) }()
	if err := send(t.TempDir(), m.URL(), nil, "box-1", 1); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "north/box-1"); n != 3 {
		t.Errorf("%d lines:\n%s\n%s", n, &out, &log)
	}
}

// A broker that wants certificates and passwords lets hub and box in by them, and
// a hub with another password not. No password is given away.
func TestServeWithCertificates(t *testing.T) {
	m, authority := brokertest.New(t), brokertest.NewAuthority(t)
	m.Start(append(authority.Lines(), m.Passwords(map[string]string{"hub": "secret", "box": "secret too"})...)...)
	broker := strings.Replace(m.URL(), "tcp://", "tls://", 1)
	boxBroker := strings.Replace(m.URL(), "tcp://", "tls://box:secret%20too@", 1)
	ca, cert, key := authority.ClientFiles()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var out, log bytes.Buffer // read only when the hub has stopped
	hub := serving{broker: broker, store: t.TempDir(), ca: ca, cert: cert, certKey: key, user: "hub", passwordFile: password}
	done := make(chan error, 1)
	go func() { done <- hub.run(ctx, &out, slog.New(slog.NewTextHandler(&log, nil))) }()
	box := &tls.Config{RootCAs: authority.Roots(), Certificates: []tls.Certificate{authority.Client()}}
	if err := send(t.TempDir(), boxBroker, box, "box-1", 1); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "north/box-1"); n != 3 || strings.Contains(log.String(), "secret") {
		t.Errorf("%d lines:\n%s\n%s", n, &out, &log)
	}
	if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	short, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	log.Reset()
	if err := hub.run(short, &out, slog.New(slog.NewTextHandler(&log, nil))); err != nil && !strings.Contains(err.Error(), "not Authorized") {
		t.Errorf("with a wrong password: %v", err)
	}
	if said := log.String(); !strings.Contains(said, "not Authorized") || strings.Contains(said, "wrong") {
		t.Errorf("a wrong password is answered with:\n%s", said)
	}
	if err := os.Chmod(password, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := hub.run(t.Context(), &out, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "may be read by others") {
		t.Errorf("a password that all may read: %v", err)
	}
}

// scriptBox runs a box until the hub has its results: box ADDRESS NAME ATTEMPT.
func scriptBox(ts *testscript.TestScript, _ bool, args []string) {
	attempt, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(send(ts.MkAbs("ledger-"+args[1]), "tcp://"+args[0], nil, args[1], attempt))
}

// send commits three results on a box, one classified, one refused, one
// failed, and runs its uplink until it has the receipts.
func send(dir, broker string, encryption *tls.Config, device string, attempt int) error {
	from := wire.Origin{Site: "north", Device: device}
	l, err := ledger.Open(dir, ledger.Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	for _, img := range images(from, attempt) {
		err := l.Commit(img, spine.Sighting{}, func(uint64) ([]byte, string, error) {
			r := wire.NewResult(from, img, img.Digest)
			message, err := r.Encode()
			return message, r.ID, err
		})
		if err != nil {
			return err
		}
	}
	up, err := uplink.New(uplink.Options{
		Broker: broker, TLS: encryption, From: from, Outbox: l, Backoff: 20 * time.Millisecond, ReceiptTimeout: time.Second,
		Status: func() wire.Status { return wire.NewStatus(from, spine.Status{}, time.Now()) },
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- up.Run(ctx) }()
	for l.Outbox() > 0 && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond) // between two looks at the condition
	}
	waiting := ctx.Err()
	cancel()
	return errors.Join(waiting, <-done)
}

func images(from wire.Origin, attempt int) []*spine.Image {
	var all []*spine.Image
	for i, decision := range []spine.Decision{
		{Outcome: spine.Classified, Label: spine.Scoliosis},
		{Outcome: spine.Refused, Code: spine.NotXray},
		{Outcome: spine.Failed, Code: spine.Corrupt},
	} {
		sum := sha256.Sum256(fmt.Append(nil, from.Device, i))
		img := &spine.Image{
			Digest: hex.EncodeToString(sum[:]), Attempt: attempt, Decision: decision,
			Finished: time.Date(2026, 3, 4, 12, attempt, i, 0, time.UTC),
		}
		if decision.Outcome == spine.Classified {
			img.Readings = []spine.Reading{{
				Model:  spine.ModelID{Name: "m", Version: "1", Digest: img.Digest},
				Labels: spine.Labels(), Probabilities: []float64{0.0125, 0.9375, 0.05}, Label: spine.Scoliosis,
			}}
		}
		all = append(all, img)
	}
	return all
}
