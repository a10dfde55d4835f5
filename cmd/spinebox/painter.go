package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"log/slog"
	"sync"
	"time"

	"spinebox/device/kiosk"
	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/runtime/xray"
)

// painter makes the pictures that the kiosk shows beside the answers, beside
// the pipeline: a preview takes longer than the network. While many images come
// at once, most are shown without a picture, the latest always with it: nobody
// can look at more than a few in a second, and painting each took 13 ms of
// processor time from decoding and the network.
type painter struct {
	show  func(kiosk.View)
	log   *slog.Logger
	every time.Duration // from one painting to the next, at the least

	wake    chan struct{}
	mu      sync.Mutex // guards waiting
	waiting []painting // in their order; at most the last one has its picture
}

type painting struct {
	img     *spine.Image
	picture *spine.Picture // nil when the file could not be decoded, or is not to be painted
}

func newPainter(show func(kiosk.View), log *slog.Logger) *painter {
	return &painter{show: show, log: log, every: 500 * time.Millisecond, wake: make(chan struct{}, 1)}
}

// add puts a result in line to be shown. It never blocks. Only one picture
// waits: each takes up to 160 MB.
func (p *painter) add(job painting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.waiting); n > 0 {
		p.waiting[n-1].picture = nil
	}
	p.waiting = append(p.waiting, job)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run paints and shows until ctx is done.
func (p *painter) Run(ctx context.Context) error {
	for {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
		p.mu.Lock()
		jobs := p.waiting
		p.waiting = nil
		p.mu.Unlock()
		for _, job := range jobs {
			view := newView(job.img)
			if err := paint(&view, job); err != nil {
				p.log.Warn("a result is shown without its picture", "error", err)
			}
			p.show(view)
		}
		select {
		case <-time.After(p.every):
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
