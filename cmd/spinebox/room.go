package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/device/kiosk"
	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/runtime/xray"
)

// recentResults is how many results the room's page lists.
const recentResults = 20

// The box observes its pipeline: Taken, Answered and Done tell the room, and
// systemd that there is progress.

func (b *box) Taken() {
	b.health.Update(func(s *spine.Status) { s.Busy = true })
}

func (b *box) Answered(img *spine.Image, picture *spine.Picture) {
	b.health.Answered(img.Timings)
	if b.painter != nil {
		b.painter.jobs <- painting{img, picture}
	}
}

func (b *box) Done(left int) {
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

// painter makes the pictures that the kiosk shows beside the answers, beside
// the pipeline: a preview takes longer than the network.
type painter struct {
	kiosk *kiosk.Server
	log   *slog.Logger
	// jobs holds one painting, so that one is made while the next image is
	// judged, and no more: a picture takes up to 160 MB.
	jobs chan painting
}

type painting struct {
	img     *spine.Image
	picture *spine.Picture // nil when the file could not be decoded
}

func newPainter(k *kiosk.Server, log *slog.Logger) *painter {
	return &painter{kiosk: k, log: log, jobs: make(chan painting, 1)}
}

// Run paints until ctx is done.
func (p *painter) Run(ctx context.Context) error {
	for {
		select {
		case job := <-p.jobs:
			view := newView(job.img)
			if err := paint(&view, job); err != nil {
				p.log.Warn("a result is shown without its picture", "error", err)
			}
			p.kiosk.Show(view)
		case <-ctx.Done():
			return nil
		}
	}
}

func newView(img *spine.Image) kiosk.View {
	return kiosk.View{ID: img.Digest[:12], Finished: img.Finished, Decision: img.Decision, Readings: img.Readings}
}

// legend draws the map's colours from the least to the most, as they are laid
// over an X-ray.
func legend() ([]byte, error) {
	ramp := &spine.Heatmap{Width: 64, Height: 1, Max: 63, Content: spine.Rect{X1: 1, Y1: 1}}
	for i := range ramp.Width {
		ramp.Values = append(ramp.Values, float32(i))
	}
	strip, err := explain.SmallMap(ramp, 256, 12)
	if err != nil {
		return nil, err
	}
	return encodePNG(strip)
}

func encodePNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("make a PNG: %w", err)
	}
	return b.Bytes(), nil
}

// previewSide is the longer side of the kiosk's X-ray, in pixels: a little more
// than the screen shows.
const previewSide = 1500

// paint adds the X-ray, and the heatmaps of an answer. An answer that is
// withheld has none: a map would say what the box does not.
func paint(view *kiosk.View, job painting) error {
	if job.picture == nil {
		return nil
	}
	var preview bytes.Buffer
	if err := jpeg.Encode(&preview, xray.Preview(job.picture, previewSide), &jpeg.Options{Quality: 85}); err != nil {
		return fmt.Errorf("make a preview: %w", err)
	}
	view.Preview = preview.Bytes()
	if job.img.Decision.Outcome != spine.Classified {
		return nil
	}
	for _, reading := range job.img.Readings {
		var overlay []byte
		if reading.Heatmap != nil {
			small, err := explain.SmallMap(reading.Heatmap, job.picture.Width, job.picture.Height)
			if err == nil {
				overlay, err = encodePNG(small)
			}
			if err != nil {
				return err
			}
		}
		view.Maps = append(view.Maps, overlay)
	}
	return nil
}
