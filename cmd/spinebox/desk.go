package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"spinebox/internal/spine"
	"spinebox/runtime/pipeline"
	"spinebox/sync/ledger"
)

// desk is the box's memory as the commands see it that look after it: the
// quarantine, and backups. While the service runs it holds the ledger, and
// answers through its control socket; while it does not, the command opens the
// ledger itself. The answers are the same.
type desk struct {
	ledger     *ledger.Ledger
	quarantine pipeline.Quarantine
	running    bool // there is a service to retry what is asked for
}

// aboutFile is what a command says: which file, by the beginning of its digest.
type aboutFile struct {
	ID string `json:"id,omitempty"`
}

// queue is what `queue list` shows.
type queue struct {
	Use     string       `json:"use"`
	Running bool         `json:"running"`
	Outbox  int          `json:"outbox"` // results without a receipt
	Full    string       `json:"full,omitempty"`
	Files   []queuedFile `json:"quarantine"`
}

// queuedFile is one file in quarantine and where its last result stands.
type queuedFile struct {
	pipeline.Quarantined
	Queued    time.Time `json:"queued,omitzero"`
	Delivered time.Time `json:"delivered,omitzero"`
}

// actions are what can be asked for, by name.
func (d *desk) actions() map[string]func(aboutFile) (any, error) {
	return map[string]func(aboutFile) (any, error){
		"queue-list":  func(aboutFile) (any, error) { return d.list() },
		"queue-show":  func(r aboutFile) (any, error) { return d.file(r.ID, func(string) error { return nil }) },
		"queue-retry": func(r aboutFile) (any, error) { return d.file(r.ID, d.quarantine.Request) },
		"queue-discard": func(r aboutFile) (any, error) {
			return d.file(r.ID, func(digest string) error {
				// The file goes first: a note about a file that is still there
				// would let its record be forgotten.
				return errors.Join(d.quarantine.Discard(digest), d.ledger.Discarded(digest))
			})
		},
	}
}

// file does something with the one file whose digest begins so, and returns it
// as it was before.
func (d *desk) file(id string, do func(digest string) error) (*queuedFile, error) {
	file, err := d.quarantine.Find(id)
	if err != nil {
		return nil, err
	}
	shown := d.stand(file)
	return &shown, do(file.Digest)
}

func (d *desk) stand(file pipeline.Quarantined) queuedFile {
	// The ledger may know less than the folder, after it was restored.
	standing, _ := d.ledger.Standing(file.Digest)
	return queuedFile{file, standing.Queued, standing.Delivered}
}

func (d *desk) list() (*queue, error) {
	files, err := d.quarantine.List()
	if err != nil {
		return nil, err
	}
	q := &queue{Use: spine.IntendedUse, Running: d.running, Outbox: d.ledger.Outbox(), Files: []queuedFile{}}
	if err := d.ledger.Ready(); err != nil {
		q.Full = err.Error()
	}
	for _, file := range files {
		q.Files = append(q.Files, d.stand(file))
	}
	return q, nil
}

// openDesk lets the control socket answer.
func (b *box) openDesk() error {
	d := &desk{ledger: b.ledger, quarantine: b.pipeline.Quarantine(), running: true}
	for name, do := range d.actions() {
		handle(b.control, name, func(_ context.Context, r aboutFile) (any, error) { return do(r) })
	}
	b.control.mux.HandleFunc("POST /backup", func(w http.ResponseWriter, _ *http.Request) {
		if err := d.ledger.Backup(w); err != nil {
			// It ends without its sum, and is refused as damaged.
			b.log.Warn("a backup was not finished", "error", err)
		}
	})
	return nil
}

// atDesk does something with the desk of a box whose service does not run.
func atDesk(c *config, do func(*desk) error) error {
	if err := c.asOwner(); err != nil {
		return err
	}
	quarantine, err := pipeline.OpenQuarantine(c.quarantinePath())
	if err != nil {
		return err
	}
	l, err := c.openLedger(slog.New(slog.DiscardHandler))
	if errors.Is(err, ledger.ErrInUse) {
		return withHint(err, "the service is starting or ending: try again in a moment")
	}
	if err != nil {
		return err
	}
	return errors.Join(do(&desk{ledger: l, quarantine: quarantine}), l.Close())
}
