package explain_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"spinebox/explain"
	"spinebox/internal/spine"
	"spinebox/models/input"
)

// The values that tf.image.resize(…, [4, 4], "bilinear") gives for 1 2 / 3 4,
// brought to 0–1: half-pixel centres, the border repeated.
func TestHalfPixelBilinear(t *testing.T) {
	h := heatmap(2, 2, whole, 1, 2, 3, 4)
	got := onPicture(t, h, 4, 4)
	for i, v := range []float32{
		1, 1.25, 1.75, 2,
		1.5, 1.75, 2.25, 2.5,
		2.5, 2.75, 3.25, 3.5,
		3, 3.25, 3.75, 4,
	} {
		if want := (v - 1) / 3; math.Abs(float64(got[i]-want)) > 1e-6 {
			t.Errorf("pixel %d is %v, want %v", i, got[i], want)
		}
	}
}

// Where picture and input differ by a whole factor there is a plain way to say
// what undoing the letterbox means: enlarge the map to the whole input, padding
// and all, and cut the picture out.
func TestEqualsEnlargeThenCrop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		spec          input.Spec
		width, height int // of the picture before the factor, as it lies in the input
		cells, rows   int
	}{
		{input.Spec{Width: 105, Height: 105, Resize: input.Letterbox}, 35, 105, 7, 7},
		{input.Spec{Width: 105, Height: 105, Resize: input.Letterbox}, 47, 105, 7, 7}, // borders that cut cells
		{input.Spec{Width: 105, Height: 105, Resize: input.Letterbox}, 105, 39, 7, 7},
		{input.Spec{Width: 105, Height: 105, Resize: input.Squash}, 105, 105, 7, 7},
		{input.Spec{Width: 75, Height: 180, Resize: input.Letterbox}, 67, 180, 5, 12},
		{input.Spec{Width: 75, Height: 180, Resize: input.Letterbox}, 75, 151, 15, 36},
	} {
		for _, factor := range []int{1, 3, 5} {
			width, height := c.width*factor, c.height*factor
			frame := c.spec.Frame(width, height)
			if frame.W != c.width || frame.H != c.height {
				t.Fatalf("the picture lies in the input as %dx%d, want %dx%d", frame.W, frame.H, c.width, c.height)
			}
			h := heatmap(c.cells, c.rows, frame.Content())
			for i := range h.Values {
				h.Values[i] = 0.1 + 0.8*rng.Float32()
			}
			// The extremes well inside, on cell centres that an odd factor hits.
			h.Values[(c.rows/2)*c.cells+c.cells/2] = 1
			h.Values[(c.rows/2-1)*c.cells+c.cells/2] = 0
			h.Max = 1

			got := onPicture(t, h, width, height)
			full := resizeBilinear(h.Values, c.cells, c.rows, frame.Width*factor, frame.Height*factor)
			var worst float64
			for y := range height {
				for x := range width {
					want := full[(frame.Y*factor+y)*frame.Width*factor+frame.X*factor+x]
					worst = max(worst, math.Abs(float64(got[y*width+x])-want))
				}
			}
			if worst > 1e-6 {
				t.Errorf("%dx%d in %+v, %dx%d cells: off by %g", width, height, frame, c.cells, c.rows, worst)
			}
		}
	}
}

// A single hot cell must lie on the picture where that cell of the input lies,
// and reach no further than its neighbours' centres.
func TestHotCellLandsWhereItBelongs(t *testing.T) {
	tall := input.Spec{Width: 160, Height: 384, Resize: input.Letterbox}
	square := input.Spec{Width: 224, Height: 224, Resize: input.Letterbox}
	squash := input.Spec{Width: 224, Height: 224, Resize: input.Squash}
	for name, c := range map[string]struct {
		spec          input.Spec
		width, height int
		cell          int // input pixels for each cell
	}{
		"tall, ResNet50":     {square, 311, 1400, 32},
		"tall, VGG16":        {square, 311, 1400, 16},
		"tall input":         {tall, 311, 1400, 32},
		"tall input, VGG16":  {tall, 311, 1400, 16},
		"narrowest":          {square, 123, 753, 32},
		"wide":               {square, 1400, 311, 32},
		"wide in tall input": {tall, 500, 400, 16},
		"tiny":               {square, 9, 20, 32},
		"squashed":           {squash, 311, 1400, 32},
		"squashed, VGG16":    {squash, 700, 300, 16},
	} {
		t.Run(name, func(t *testing.T) {
			frame := c.spec.Frame(c.width, c.height)
			cells, rows := c.spec.Width/c.cell, c.spec.Height/c.cell
			seen := 0
			for row := 1; row < rows-1; row += 2 { // every other: the race detector is slow
				for column := 1; column < cells-1; column++ {
					x := onto(float64(column)+0.5, c.cell, frame.X, frame.W, c.width)
					y := onto(float64(row)+0.5, c.cell, frame.Y, frame.H, c.height)
					if x < 1 || y < 1 || x > float64(c.width)-1 || y > float64(c.height)-1 {
						continue // its centre is in the padding
					}
					seen++
					h := heatmap(cells, rows, frame.Content())
					h.Values[row*cells+column], h.Max = 3, 3
					reachX := float64(c.cell) / float64(frame.W) * float64(c.width)
					reachY := float64(c.cell) / float64(frame.H) * float64(c.height)
					if err := spotAt(onPicture(t, h, c.width, c.height), c.width, x, y, reachX, reachY); err != nil {
						t.Errorf("cell %d,%d of %dx%d: %v", column, row, cells, rows, err)
					}
				}
			}
			if seen == 0 {
				t.Error("no cell lies on the picture: the case tests nothing")
			}
		})
	}
}

// onto brings a position in cells to picture pixels by way of the input.
func onto(cells float64, cell, offset, extent, pixels int) float64 {
	return (cells*float64(cell) - float64(offset)) / float64(extent) * float64(pixels)
}

// spotAt checks that the brightest pixel lies at x, y (pixel edges are whole
// numbers) and that nothing shines beyond the reach.
func spotAt(values []float32, width int, x, y, reachX, reachY float64) error {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
		px, py := float64(i%width)+0.5, float64(i/width)+0.5
		beyond := math.Abs(px-x) > reachX+1e-6 || math.Abs(py-y) > reachY+1e-6
		if beyond && v > 0 {
			return fmt.Errorf("pixel %.1f,%.1f shows %v, more than a cell away from %.1f,%.1f", px, py, v, x, y)
		}
	}
	px, py := float64(best%width)+0.5, float64(best/width)+0.5
	if math.Abs(px-x) > 0.5+1e-6 || math.Abs(py-y) > 0.5+1e-6 {
		return fmt.Errorf("brightest at %.1f,%.1f, want %.1f,%.1f", px, py, x, y)
	}
	if want := 1 - 0.5/reachX - 0.5/reachY; float64(values[best]) < want-1e-6 {
		return fmt.Errorf("the maximum shows as %v, want at least %v", values[best], want)
	}
	return nil
}

// The padding beside the picture may hold the map's maximum: the X-ray's own
// maximum still shows as such, and Outside tells of the rest.
func TestPaddingCannotDimThePicture(t *testing.T) {
	content := spine.Rect{X0: 3.0 / 7, X1: 4.0 / 7, Y1: 1}
	h := heatmap(7, 7, content)
	h.Values[3*7+3], h.Max = 1, 1
	want := onPicture(t, h, 100, 700)
	for y := range 7 {
		h.Values[y*7], h.Max = 50, 50
	}
	got := onPicture(t, h, 100, 700)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("pixel %d is %v with a hot padding, %v without", i, got[i], want[i])
		}
	}
	if share := explain.Outside(h); math.Abs(share-350.0/351) > 1e-9 {
		t.Errorf("outside share %v, want 350/351", share)
	}
}

func TestOutside(t *testing.T) {
	for name, c := range map[string]struct {
		h    *spine.Heatmap
		want float64
	}{
		"whole":         {heatmap(2, 1, whole, 1, 3), 0},
		"cut cells":     {heatmap(2, 1, spine.Rect{X0: 0.25, X1: 0.75, Y1: 1}, 1, 3), 0.5},
		"one side":      {heatmap(2, 1, spine.Rect{X0: 0.5, X1: 1, Y1: 1}, 1, 3), 0.25},
		"both axes":     {heatmap(2, 2, spine.Rect{X0: 0.25, X1: 0.75, Y0: 0.25, Y1: 0.75}, 1, 1, 1, 1), 0.75},
		"all outside":   {heatmap(3, 1, spine.Rect{X0: 0.4, X1: 0.6, Y1: 1}, 1, 0, 2), 1},
		"empty":         {heatmap(2, 1, spine.Rect{X1: 0.5, Y1: 1}, 0, 0), 0},
		"no map at all": {nil, 0},
	} {
		if got := explain.Outside(c.h); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestEvenMapShowsNothing(t *testing.T) {
	for _, h := range []*spine.Heatmap{
		heatmap(3, 3, whole, 5, 5, 5, 5, 5, 5, 5, 5, 5),
		heatmap(1, 1, whole, 2),
		heatmap(4, 1, spine.Rect{X0: 0.25, X1: 0.5, Y1: 1}, 0, 0, 0, 9), // all of it in the padding
	} {
		for i, v := range onPicture(t, h, 8, 8) {
			if v != 0 {
				t.Fatalf("pixel %d of an even map shows %v", i, v)
			}
		}
	}
}

func TestDamagedHeatmapIsRefused(t *testing.T) {
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		h    *spine.Heatmap
		want string
	}{
		"NaN":        {heatmap(2, 1, whole, nan, 1), "holds NaN at row 0, column 0"},
		"negative":   {heatmap(2, 1, whole, 1, -1), "holds -1"},
		"infinite":   {heatmap(2, 1, whole, 1, float32(math.Inf(1))), "holds +Inf"},
		"short":      {&spine.Heatmap{Width: 2, Height: 2, Values: []float32{1}, Max: 1, Content: whole}, "holds 1 values"},
		"no content": {heatmap(2, 1, spine.Rect{}, 1, 2), "place in the input"},
	} {
		_, err := explain.OnPicture(c.h, 4, 4)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := explain.OnPicture(heatmap(1, 1, whole, 1), 0, 4); err == nil {
		t.Error("a picture without pixels is not refused")
	}
}

// resizeBilinear is TensorFlow's ResizeBilinear with half_pixel_centers, as its
// CPU kernel writes it (HalfPixelScaler, compute_interpolation_weights).
func resizeBilinear(src []float32, sw, sh, dw, dh int) []float64 {
	weights := func(from, to, i int) (lower, upper int, lerp float64) {
		in := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
		floor := math.Floor(in)
		return max(int(floor), 0), min(int(math.Ceil(in)), from-1), in - floor
	}
	dst := make([]float64, dw*dh)
	for y := range dh {
		top, bottom, dy := weights(sh, dh, y)
		for x := range dw {
			left, right, dx := weights(sw, dw, x)
			at := func(row, column int) float64 { return float64(src[row*sw+column]) }
			above := at(top, left) + (at(top, right)-at(top, left))*dx
			below := at(bottom, left) + (at(bottom, right)-at(bottom, left))*dx
			dst[y*dw+x] = above + (below-above)*dy
		}
	}
	return dst
}

// heatmap makes a map of those values, all zero when none are given.
func heatmap(w, h int, content spine.Rect, values ...float32) *spine.Heatmap {
	m := &spine.Heatmap{Width: w, Height: h, Values: values, Content: content}
	if values == nil {
		m.Values = make([]float32, w*h)
	}
	for _, v := range values {
		m.Max = max(m.Max, v)
	}
	return m
}

func onPicture(t *testing.T, h *spine.Heatmap, width, height int) []float32 {
	t.Helper()
	values, err := explain.OnPicture(h, width, height)
	if err != nil {
		t.Fatal(err)
	}
	return values
}
