package uplink

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"spinebox/internal/livetest"
	"spinebox/sync/wire"
)

func command(t *testing.T, n int, name, image string) []byte {
	t.Helper()
	id := sha256.Sum256(fmt.Append(nil, "command", n))
	message, err := wire.Command{Schema: wire.CommandSchema, ID: hex.EncodeToString(id[:]), Command: name, Image: image}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// A box does what is on the list, once, and only when it is asked on its own
// topic; all else is refused and counted.
func TestCommands(t *testing.T) {
	url, _ := startBroker(t, "127.0.0.1:0")
	h := listen(t, url, always)
	ask := func(topic string, retained bool, message []byte) {
		t.Helper()
		if err := wait("ask", h.client.Publish(topic, 1, retained, message), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	mine, other := wire.Topics{Site: "north", Device: "box-1"}.Command(), wire.Topics{Site: "north", Device: "box-2"}.Command()
	image := hex.EncodeToString(make([]byte, 32))
	ask(mine, true, command(t, 0, wire.CommandRescan, "")) // before it connects: retained
	// The embedded broker acknowledges before it hands on, one message after the
	// other: the box must not subscribe in between.
	ask(other, false, command(t, 1, wire.CommandRetry, image))

	var mu sync.Mutex
	var done []string
	u := newUplink(t, url, newQueue(), func(o *Options) {
		o.StatusEvery = time.Hour
		o.Command = func(c wire.Command) error {
			mu.Lock()
			defer mu.Unlock()
			if c.Image == image && len(done) > 1 {
				return errors.New("not in quarantine")
			}
			done = append(done, c.Command)
			return nil
		}
	})
	run(t, u.Run)
	livetest.Eventually(t, "what is retained is refused", func() bool { return u.State().Refused == 1 })
	ask(other, false, command(t, 1, wire.CommandRetry, image))
	ask(mine, false, command(t, 2, wire.CommandRescan, ""))
	ask(mine, false, command(t, 2, wire.CommandRescan, "")) // delivered twice
	ask(mine, false, command(t, 3, wire.CommandRetry, image))
	ask(mine, false, []byte(`{"schema":"spinebox.command.v1","command":"reboot"}`))
	ask(mine, false, []byte("rm -rf /"))
	ask(mine, false, command(t, 4, wire.CommandRetry, image)) // the box itself says no
	statuses := func() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.status) }
	before := statuses()
	ask(mine, false, command(t, 5, wire.CommandStatus, ""))
	livetest.Eventually(t, "the status comes when it is asked for", func() bool { return statuses() > before })
	livetest.Eventually(t, "all are answered for", func() bool { s := u.State(); return s.Commands == 3 && s.Refused == 4 })
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(done, []string{wire.CommandRescan, wire.CommandRetry}) {
		t.Errorf("the box did %q", done)
	}
}
