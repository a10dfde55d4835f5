package explain_test

import (
	"math"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
)

// trunk is a body of middling grey with dark lungs, in black air, within a
// white frame of unexposed film where it is asked for.
func trunk(frame bool) *spine.Picture {
	p := &spine.Picture{Width: 200, Height: 400, Pix: make([]float32, 200*400)}
	for y := range 400 {
		for x := range 200 {
			v := float32(0)
			if x >= 50 && x < 150 {
				v = 0.5 + 0.3*float32(x%20)/20
			}
			lung := (x >= 60 && x < 90 || x >= 110 && x < 140) && y >= 100 && y < 200
			if lung {
				v = 0
			}
			if frame && (y < 40 || y >= 360) {
				v = 1
			}
			p.Pix[y*200+x] = v
		}
	}
	return p
}

// lit is a map of 4 by 8 cells over the whole picture, with one cell lit.
func lit(x, y int, content spine.Rect) *spine.Heatmap {
	h := &spine.Heatmap{Width: 4, Height: 8, Values: make([]float32, 32), Max: 1, Content: content}
	h.Values[y*4+x] = 1
	return h
}

func TestOffBody(t *testing.T) {
	whole := spine.Rect{X1: 1, Y1: 1}
	for what, c := range map[string]struct {
		h        *spine.Heatmap
		p        *spine.Picture
		low, top float64
	}{
		"in the middle of the body":     {lit(1, 6, whole), trunk(false), 0, 0.25},
		"in a lung, which is dark, too": {lit(1, 3, whole), trunk(false), 0, 0.25},
		"in the air":                    {lit(0, 5, whole), trunk(false), 0.7, 1},
		"in the collimated border":      {lit(1, 0, whole), trunk(true), 0.5, 1},
		"there without a border":        {lit(1, 0, whole), trunk(false), 0, 0.25},
		"in the padding":                {lit(0, 4, spine.Rect{X0: 0.25, X1: 0.75, Y1: 1}), trunk(false), 1, 1},
		"an empty map":                  {&spine.Heatmap{Width: 4, Height: 8, Values: make([]float32, 32), Content: whole}, trunk(false), 0, 0},
		"no map":                        {nil, trunk(false), 0, 0},
		"a picture of one grey":         {lit(1, 1, whole), &spine.Picture{Width: 3, Height: 500, Pix: make([]float32, 1500)}, 0, 1},
	} {
		got, err := explain.OffBody(c.h, c.p)
		if err != nil || !(got >= c.low && got <= c.top) {
			t.Errorf("%s: %.2f is off the body (%v), want %.2f to %.2f", what, got, err, c.low, c.top)
		}
	}
	broken := lit(1, 1, whole)
	broken.Values[0] = float32(math.NaN())
	if _, err := explain.OffBody(broken, trunk(false)); err == nil {
		t.Error("a map that holds no number is measured")
	}
}
