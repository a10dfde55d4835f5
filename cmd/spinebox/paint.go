package main

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"sync"

	"spinebox/device/kiosk"
	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/runtime/xray"
	"spinebox/sync/wire"
)

// newView names an image as the hub does, and one in quarantine also as the
// commands and the log do.
func newView(key wire.SiteKey, img *spine.Image) kiosk.View {
	v := kiosk.View{ID: wire.ImageID(key, img)[:12], Finished: img.Finished, Decision: img.Decision, Readings: img.Readings}
	if img.Decision.Outcome == spine.Failed {
		v.File = img.Digest[:12]
	}
	return v
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
// withheld has none: a map would say what the box does not. The X-ray is only
// scaled here. Its JPEG and the maps' PNGs are made when somebody looks: while
// many come at once nobody looks at most, and making them all costs as much of
// the processor as decoding does. Until then, a picture takes a megabyte.
func paint(view *kiosk.View, img *spine.Image, picture *spine.Picture) {
	if picture == nil {
		return
	}
	scaled := xray.Preview(picture, previewSide)
	view.Preview = sync.OnceValues(func() ([]byte, error) {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, scaled, &jpeg.Options{Quality: 85}); err != nil {
			return nil, fmt.Errorf("make a preview: %w", err)
		}
		return b.Bytes(), nil
	})
	if img.Decision.Outcome != spine.Classified {
		return
	}
	width, height := picture.Width, picture.Height
	for _, reading := range img.Readings {
		var overlay kiosk.Picture
		if h := reading.Heatmap; h != nil {
			overlay = sync.OnceValues(func() ([]byte, error) {
				small, err := explain.SmallMap(h, width, height)
				if err != nil {
					return nil, err
				}
				return encodePNG(small)
			})
		}
		view.Maps = append(view.Maps, overlay)
	}
}
