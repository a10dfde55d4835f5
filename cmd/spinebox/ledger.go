package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"spinebox/runtime/pipeline"
	"spinebox/sync/ledger"
	"spinebox/sync/wire"
)

func (c *config) ledgerPath() string     { return filepath.Join(c.Data, "ledger") }
func (c *config) quarantinePath() string { return filepath.Join(c.Data, "quarantine") }

// owner is the box's name in backups of its ledger.
func (c *config) owner() string { return c.Site + "/" + c.Device }

// patience is how long the service waits for a command that has the ledger open
// to end.
const patience = 2 * time.Second

// openLedger opens the ledger within the configuration's limits. Half of the
// reserve is the ledger's: the shares stop taking in before it has to.
func (c *config) openLedger(log *slog.Logger) (*ledger.Ledger, error) {
	if err := c.asOwner(); err != nil {
		return nil, err
	}
	return ledger.Open(c.ledgerPath(), ledger.Options{
		Log: log, Owner: c.owner(), Reserve: min(int64(c.Limits.Reserve)/2, 32<<20),
		MaxResults: c.Limits.Outbox, MaxBytes: int64(c.Limits.OutboxSize), Keep: c.Limits.Keep,
	})
}

// ledgerTrouble is what the room reads when the ledger takes nothing in.
func ledgerTrouble(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ledger.ErrOutboxFull):
		return fmt.Sprintf("%s. New X-rays stay on the share until the hub takes results.", capital(err.Error()))
	case errors.Is(err, ledger.ErrDiskFull):
		return fmt.Sprintf("%s. New X-rays stay on the share until there is space.", capital(err.Error()))
	}
	return "The box cannot write down results: " + err.Error() + "."
}

func capital(s string) string { return string(s[0]-'a'+'A') + s[1:] }

// retries judges files in quarantine again for whom somebody asked, and looks
// for such requests every second.
func (b *box) retries(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := ""
		err := b.ledger.Ready()
		if err == nil {
			err = b.pipeline.Requested(ctx)
		}
		if err != nil && ctx.Err() == nil {
			now = err.Error()
		}
		if now != last && now != "" {
			b.log.Warn("files in quarantine are not retried now", "error", err)
		}
		last = now
	}
}

// command takes what the hub asks for.
func (b *box) command(c wire.Command) error {
	switch c.Command {
	case wire.CommandRescan:
		for _, w := range b.watchers {
			w.Hasten()
		}
		return nil
	case wire.CommandRetry:
		digest, err := b.quarantined(c.Image)
		if err != nil {
			return err
		}
		return b.pipeline.Quarantine().Request(digest)
	}
	return fmt.Errorf("this box has no command %s", c.Command)
}

// quarantined finds the file in quarantine that the hub knows by an image's
// identifier.
func (b *box) quarantined(image string) (digest string, err error) {
	files, err := b.pipeline.Quarantine().List()
	if err != nil {
		return "", err
	}
	for _, f := range files {
		img, err := b.ledger.Image(f.Digest)
		if err == nil && wire.NewResult(b.origin, img, "").Image == image {
			return f.Digest, nil
		}
	}
	return "", fmt.Errorf("image %.12s: %w", image, pipeline.ErrNotQuarantined)
}
