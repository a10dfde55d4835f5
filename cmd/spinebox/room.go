package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
)

// recentResults is how many results the room's page lists.
const recentResults = 20

// restsAfter is how long after its last image the box gives back the memory that
// images took and nothing needs.
const restsAfter = 300 * time.Millisecond

// The box observes its pipeline: Taken, Answered and Done tell the room, and
// systemd that there is progress.

func (b *box) Taken() {
	b.resting.Stop()
	b.health.Update(func(s *spine.Status) { s.Busy = true })
}

func (b *box) Answered(img *spine.Image, picture *spine.Picture) {
	b.health.Answered(img.Timings)
	if b.kiosk != nil {
		view := newView(b.origin.Key, img)
		paint(&view, img, picture)
		b.kiosk.Show(view)
	}
}

// Repeated shows the answer that a file's bytes have, as the latest: somebody
// has sent the X-ray again and waits.
func (b *box) Repeated(digest string, at time.Time) {
	if b.kiosk == nil {
		return
	}
	img, err := b.ledger.Image(digest)
	if err != nil {
		b.log.Warn("a known image that came again is not shown", "image", digest[:12], "error", err)
		return
	}
	view := newView(b.origin.Key, img)
	view.Again = at
	b.kiosk.Show(view)
}

func (b *box) Done(left int) {
	if left == 0 {
		b.resting.Reset(restsAfter)
	}
	b.count()
	b.health.Update(func(s *spine.Status) { s.Busy = left > 0 })
	// An image that ends is progress of every share: the others wait for it.
	for _, s := range b.config.Shares {
		b.notifier.Beat(s.Name)
	}
}

// count brings the status's numbers up to date.
func (b *box) count() {
	quarantined, err := b.pipeline.Quarantine().Count()
	if err != nil {
		b.log.Warn("the quarantine cannot be read", "error", err)
	}
	counters, outbox := b.ledger.Counters(), b.ledger.Outbox()
	b.health.Update(func(s *spine.Status) {
		s.Classified, s.Refused, s.Failed, s.Duplicates = counters.Classified, counters.Refused, counters.Failed, counters.Duplicates
		s.Outbox, s.Quarantine = outbox, quarantined
	})
}

// follow looks every second at what reports no changes by itself: the shares,
// the connection and the outbox.
func (b *box) follow(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		b.health.Alive()
		b.count()
		b.health.Update(func(s *spine.Status) { s.Disk = b.disk() })
		b.health.Trouble("ledger", ledgerTrouble(b.ledger.Ready()))
		for i, w := range b.watchers {
			b.followShare(b.config.Shares[i].Name, w.Status())
		}
		if b.uplink != nil {
			link := b.uplink.State()
			b.health.Update(func(s *spine.Status) { s.Broker = link })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// disk says how full the data folder's disk is, in steps of a megabyte: every
// step is news to each page.
func (b *box) disk() spine.DiskStatus {
	var s unix.Statfs_t
	if err := unix.Statfs(b.config.Data, &s); err != nil {
		return spine.DiskStatus{}
	}
	step := func(blocks uint64) int64 { return int64(blocks) * s.Bsize / 1e6 * 1e6 }
	return spine.DiskStatus{Free: step(s.Bavail), Size: step(s.Blocks), Reserve: int64(b.config.Limits.Reserve)}
}

// followShare notes how a share is. One that is away comes back by itself,
// which the amber lamp says. One that is there and still complains needs
// somebody: a full disk, files that the box may not read.
func (b *box) followShare(name string, status spine.ShareStatus) {
	b.health.Update(func(s *spine.Status) { s.Shares[name] = status })
	trouble := ""
	if status.Online && status.Error != "" {
		trouble = fmt.Sprintf("Share %s: %s", name, status.Error)
	}
	b.health.Trouble("share "+name, trouble)
}
