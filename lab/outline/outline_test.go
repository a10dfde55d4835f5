package outline_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
	"spinebox/lab/outline"
	"spinebox/lab/phantom"
	"spinebox/lab/regions"
)

// overlap is the IoU of an outline and the truth.
func overlap(r regions.Region, truth *image.Gray) float64 {
	p := r.Plane(truth.Rect.Dx(), truth.Rect.Dy())
	var both, either float64
	for i, v := range p.Values {
		in, true := v >= 0.5, truth.Pix[i] > 0
		if in && true {
			both++
		}
		if in || true {
			either++
		}
	}
	return both / either
}

// TestPhantoms measures outlines against columns that are known.
func TestPhantoms(t *testing.T) { measure(t, 11, 18) }

// TestTorturePhantoms gives the figures of docs/study/regions.md.
func TestTorturePhantoms(t *testing.T) {
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("SPINEBOX_TORTURE is not set")
	}
	const seed = 12
	t.Log("seed", seed)
	measure(t, seed, 300)
}

// measure outlines so many phantoms; one without an outline counts as 0.
func measure(t *testing.T, seed uint64, count int) {
	t.Helper()
	set := phantom.Set{Seed: seed, Format: phantom.PNG, Cobb: phantom.AnyCobb(), Slip: phantom.AnySlip(), Sizing: phantom.Sizing{Kind: phantom.PACSSizes}}
	sum, n, faint := map[phantom.View]float64{}, map[phantom.View]float64{}, map[phantom.View]int{}
	for i := range count {
		p, err := phantom.Draw(set.Spec(i))
		if err != nil {
			t.Fatal(err)
		}
		n[p.Truth.View]++
		r, err := outline.Of(&p.Picture)
		if errors.Is(err, outline.ErrFaint) {
			faint[p.Truth.View]++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind != regions.Weak || r.Fits(p.Picture.Width, p.Picture.Height) != nil {
			t.Errorf("phantom %d: an outline of kind %s and %dx%d", i, r.Kind, r.Width, r.Height)
		}
		sum[p.Truth.View] += overlap(r, p.Column)
	}
	for view, least := range map[phantom.View]float64{phantom.AP: 0.6, phantom.Lateral: 0.5} {
		iou := sum[view] / n[view]
		t.Logf("%s: mean IoU %.3f of %.0f phantoms, %d of them without an outline", view, iou, n[view], faint[view])
		if iou < least {
			t.Errorf("%s: mean IoU %.3f, want %.2f", view, iou, least)
		}
	}
}

// bar is a picture of a bright upright bar, with black borders.
func bar() *spine.Picture {
	p := &spine.Picture{Width: 200, Height: 500, Pix: make([]float32, 200*500)}
	for y := 50; y < 450; y++ {
		for x := 20; x < 180; x++ {
			p.Pix[y*200+x] = 0.3
			if x >= 90 && x < 120 {
				p.Pix[y*200+x] = 0.7
			}
		}
	}
	return p
}

func TestBarBetweenBorders(t *testing.T) {
	r, err := outline.Of(bar())
	if err != nil {
		t.Fatal(err)
	}
	truth := image.NewGray(image.Rect(0, 0, 200, 500))
	for y := 50; y < 450; y++ {
		for x := 90; x < 120; x++ {
			truth.Pix[y*200+x] = 255
		}
	}
	if iou := overlap(r, truth); iou < 0.8 {
		t.Errorf("IoU %.3f with a bar, outline %v", iou, r.Polygons)
	}
}

func TestNothingStandsOut(t *testing.T) {
	for what, size := range map[string][2]int{"an even picture": {200, 500}, "a thin one": {5, 500}, "a dot": {1, 1}} {
		p := &spine.Picture{Width: size[0], Height: size[1], Pix: make([]float32, size[0]*size[1])}
		for i := range p.Pix {
			p.Pix[i] = 0.5
		}
		if _, err := outline.Of(p); !errors.Is(err, outline.ErrFaint) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

// folder holds four pictures of the same bar, told apart by one dark pixel.
func folder(t *testing.T) *dataset.Set {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "Normal")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		p, m := bar(), image.NewGray(image.Rect(0, 0, 200, 500))
		for k, v := range p.Pix {
			m.Pix[k] = uint8(v * 255)
		}
		m.Pix[i] = 1
		var out bytes.Buffer
		if err := png.Encode(&out, m); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".png"), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := dataset.Read(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func corrections(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "seen.txt")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCorrections(t *testing.T) {
	set := folder(t)
	sha := func(i int) string { return set.Items[i].SHA256 }
	name := corrections(t, "# looked at\n"+sha(0)[:12]+" drop\n\n"+sha(1)+" cut 0.2 0.5 # legs\n"+
		sha(2)[:20]+" band 0.5,0,0.1 0.5,0.5,0.1 0.5,1,0.1\n")
	calls := 0
	found, err := outline.All(context.Background(), set, outline.Options{Corrections: name, Cores: 1, Done: func(int) { calls++ }})
	if err != nil {
		t.Fatal(err)
	}
	if found.Dropped != 1 || found.Cut != 1 || found.Redrawn != 1 || found.Faint != 0 || len(found.Pictures()) != 3 || calls != 4 {
		t.Errorf("%+v, %d pictures, %d calls", found, len(found.Pictures()), calls)
	}
	if _, ok := found.Of(sha(0)); ok {
		t.Error("what was dropped has a region")
	}
	band, _ := found.Of(sha(2))
	if math.Abs(band.Area()-0.2) > 0.01 || len(band.Polygons[0]) != 6 {
		t.Errorf("the band: area %.3f, %v", band.Area(), band.Polygons)
	}
	cut, _ := found.Of(sha(1))
	whole, _ := found.Of(sha(3))
	lo, hi := 500.0, 0.0
	for _, c := range cut.Polygons[0] {
		lo, hi = math.Min(lo, c[1]), math.Max(hi, c[1])
	}
	if lo < 99 || lo > 105 || hi < 245 || hi > 251 || cut.Area() >= whole.Area() {
		t.Errorf("cut from %.0f to %.0f of 100 to 250", lo, hi)
	}
}

func TestCorrectionsRefused(t *testing.T) {
	set := folder(t)
	digest := strings.Repeat("0", 12)
	for _, c := range []struct{ text, want string }{
		{"Jane drop", "line 1: it begins with no SHA-256"},
		{"\n" + digest, "line 2: it says neither drop, nor cut FROM TO, nor band"},
		{digest + " keep", "it says neither"},
		{digest + " cut 0.5 0.2", "cut needs two fractions"},
		{digest + " cut 0 2", "cut needs two fractions"},
		{digest + " band 0.1,0.2,0.1 0.1,0.2", "band needs X,Y,HALF"},
		{digest + " band 0.1,0.2,0 0.1,0.2,0.1", "band needs X,Y,HALF"},
		{digest + " drop\n" + digest + "00 drop", "line 2: the picture is there twice"},
	} {
		_, err := outline.All(context.Background(), set, outline.Options{Corrections: corrections(t, c.text)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
	}
}
