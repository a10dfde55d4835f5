package health

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"spinebox/internal/spine"
)

// systemd listens as systemd would and returns each message as it comes.
func systemd(t *testing.T) <-chan string {
	t.Helper()
	address := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address)
	messages := make(chan string, 100)
	go func() {
		defer close(messages)
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			messages <- string(buffer[:n])
		}
	}()
	return messages
}

func TestSystemdIsToldReadyThenStopping(t *testing.T) {
	messages := systemd(t)
	h := New("v1", time.Unix(1, 0))
	n := NewNotifier(h, slog.New(slog.DiscardHandler), "pipeline")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()

	want := func(expected string) {
		t.Helper()
		if got := <-messages; got != expected {
			t.Errorf("systemd heard %q, want %q", got, expected)
		}
	}
	want("STATUS=Loading the model.")
	h.Update(func(s *spine.Status) { s.Ready = true })
	want("READY=1")
	want("STATUS=Watching; 0 results wait for a receipt, 0 files are in quarantine.")
	h.Trouble("disk", "The disk is full.")
	want("STATUS=The disk is full.")
	stop()
	want("STOPPING=1")
	<-done
}

// watchdog is a notifier whose watchdog may be fed at any time.
func watchdog(t *testing.T, parts ...string) *Notifier {
	t.Helper()
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	n := NewNotifier(New("v1", time.Unix(1, 0)), slog.New(slog.DiscardHandler), parts...)
	if n.every != 7500*time.Millisecond {
		t.Fatalf("a watchdog of a minute is fed every %s", n.every)
	}
	n.every = 0
	return n
}

func TestTheWatchdogIsFedOnlyWhenEveryPartHasMoved(t *testing.T) {
	messages := systemd(t)
	n := watchdog(t, "pipeline", "share")
	hears := func(when, want string) {
		t.Helper()
		n.send("X_MARK=1")
		for _, expected := range []string{want, "X_MARK=1"} {
			if expected == "" {
				continue
			}
			if got := <-messages; got != expected {
				t.Errorf("%s, systemd heard %q, want %q", when, got, expected)
			}
		}
	}
	for range 5 {
		n.Beat("pipeline")
		n.Beat("kiosk") // not one of the parts that must move
	}
	hears("while the share hangs", "")
	n.Beat("share")
	hears("when both have moved", "WATCHDOG=1")
	n.Beat("share")
	hears("when one has moved since", "")
	n.Beat("pipeline")
	hears("when both have moved again", "WATCHDOG=1")

	n.every = time.Hour
	n.Beat("share")
	n.Beat("pipeline")
	hears("when both have moved too soon", "")
	n.every = 0
	n.Beat("share")
	hears("when it is time and one moves", "WATCHDOG=1")
}

func TestWithoutAWatchdogNothingIsFed(t *testing.T) {
	messages := systemd(t)
	t.Setenv("WATCHDOG_USEC", "")
	n := NewNotifier(New("v1", time.Unix(1, 0)), slog.New(slog.DiscardHandler), "share")
	n.Beat("share")
	n.send("X_MARK=1")
	if got := <-messages; got != "X_MARK=1" {
		t.Errorf("systemd heard %q", got)
	}
}

func TestWithoutSystemdNothingIsSaid(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	h := New("v1", time.Unix(1, 0))
	n := NewNotifier(h, slog.New(slog.DiscardHandler), "pipeline")
	n.Beat("pipeline")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := n.Run(ctx); err != context.Canceled {
		t.Errorf("run ended with %v", err)
	}
}
