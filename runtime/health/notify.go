package health

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"spinebox/internal/spine"
)

// Notifier tells systemd (Type=notify, WatchdogSec=) how the box fares, over
// the socket in $NOTIFY_SOCKET; without one it says nothing.
//
// The watchdog is fed by progress, not by a timer: only after every part has
// come round its own loop since the last time. A timer would go on feeding it
// while a hung driver holds the one image that matters.
type Notifier struct {
	health *Health
	log    *slog.Logger

	every time.Duration // least time between two feedings; negative without a watchdog

	mu      sync.Mutex
	pending map[string]bool // the parts, and whether each is still to beat
	fed     time.Time
}

// NewNotifier returns a notifier that feeds the watchdog, if systemd set one,
// when all the named parts have beaten.
func NewNotifier(h *Health, log *slog.Logger, parts ...string) *Notifier {
	n := &Notifier{health: h, log: log, every: -1, pending: map[string]bool{}}
	for _, p := range parts {
		n.pending[p] = true
	}
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog settings cannot be read", "error", err)
	} else if period > 0 {
		n.every = period / 8
		log.Info("watchdog is on", "period", period.Round(time.Second))
	}
	return n
}

// Beat says that the part has come round its loop: it finished a scan or an
// image, or found nothing to do. It may come as often as it likes. A part that
// was not named counts for nothing.
func (n *Notifier) Beat(part string) {
	if n.every < 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, named := n.pending[part]; named {
		n.pending[part] = false
	}
	for _, waits := range n.pending {
		if waits {
			return
		}
	}
	if time.Since(n.fed) < n.every {
		return
	}
	for p := range n.pending {
		n.pending[p] = true
	}
	n.fed = time.Now()
	n.send(daemon.SdNotifyWatchdog)
}

// Run says READY once the box is ready, passes each new sentence on to
// `systemctl status`, and says STOPPING when ctx is done. It returns the
// context's error.
func (n *Notifier) Run(ctx context.Context) error {
	ready, said := false, ""
	err := n.health.Watch(ctx, func(s spine.Status) {
		if s.Ready && !ready {
			ready = true
			n.send(daemon.SdNotifyReady)
		}
		if line := sentence(s); line != said {
			said = line
			n.send("STATUS=" + line)
		}
	})
	n.send(daemon.SdNotifyStopping)
	return err
}

func (n *Notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("systemd cannot be told", "state", state, "error", err)
	}
}

func sentence(s spine.Status) string {
	switch {
	case s.Trouble != "":
		return s.Trouble
	case !s.Ready:
		return "Loading the model."
	}
	return fmt.Sprintf("Watching; %d results wait for a receipt, %d files are in quarantine.", s.Outbox, s.Quarantine)
}
