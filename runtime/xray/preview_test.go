package xray

import (
	"testing"

	"spinebox/internal/spine"
)

func TestPreview(t *testing.T) {
	// Columns of 0 and 1 in turn: any preview of half the size is even grey.
	p := &spine.Picture{Width: 400, Height: 1000, Pix: make([]float32, 400*1000)}
	for i := range p.Pix {
		p.Pix[i] = float32(i % 2)
	}
	img := Preview(p, 500)
	if img.Rect.Dx() != 200 || img.Rect.Dy() != 500 {
		t.Fatalf("%v", img.Rect)
	}
	for i, v := range img.Pix {
		if v != 128 {
			t.Fatalf("pixel %d is %d", i, v)
		}
	}
	// No pixel counts twice and none is lost, whatever the ratio.
	for i := range p.Pix {
		p.Pix[i] = float32(i/p.Width) / 999
	}
	last := uint8(0)
	img = Preview(p, 333)
	for y := range img.Rect.Dy() {
		v := img.GrayAt(img.Rect.Dx()-1, y).Y
		if v < last {
			t.Fatalf("row %d is %d after %d", y, v, last)
		}
		last = v
	}
	if top := img.GrayAt(0, 0).Y; top != 0 || last != 255 {
		t.Errorf("from %d to %d", top, last)
	}
	if img := Preview(p, 5000); img.Rect.Dx() != 400 || img.Rect.Dy() != 1000 {
		t.Errorf("enlarged to %v", img.Rect)
	}
	if img := Preview(&spine.Picture{Width: 3000, Height: 1, Pix: make([]float32, 3000)}, 100); img.Rect.Dx() != 100 || img.Rect.Dy() != 1 {
		t.Errorf("a strip became %v", img.Rect)
	}
}
