package phantom

import (
	"bytes"
	"image"
	"math"
	"runtime"
	"testing"

	"spinebox/internal/spine"
)

// specs returns one spec of each class and view under every one of n indices.
func specs(n int, change func(*Spec)) []Spec {
	var all []Spec
	for i := range n {
		for _, k := range []struct {
			label spine.Label
			view  View
		}{{spine.Normal, AP}, {spine.Normal, Lateral}, {spine.Scoliosis, AP}, {spine.Spondylolisthesis, Lateral}} {
			s := Spec{Label: k.label, View: k.view, Seed: 11, Index: i,
				Width: 110, Height: 290, Cobb: AnyCobb(), Slip: AnySlip()}
			if change != nil {
				change(&s)
			}
			all = append(all, s)
		}
	}
	return all
}

func drawn(t testing.TB, s Spec) *Phantom {
	t.Helper()
	p, err := Draw(s)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return p
}

func TestSameSpecSameBytes(t *testing.T) {
	for _, s := range specs(1, nil) {
		var files [2]bytes.Buffer
		for k, procs := range []int{1, runtime.NumCPU() + 1} {
			before := runtime.GOMAXPROCS(procs)
			err := drawn(t, s).Encode(&files[k], DICOM)
			runtime.GOMAXPROCS(before)
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
			t.Errorf("%s %s %d: two drawings differ", s.Label, s.View, s.Index)
		}
		s.Index += 100
		var other bytes.Buffer
		if err := drawn(t, s).Encode(&other, DICOM); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(files[0].Bytes(), other.Bytes()) {
			t.Errorf("%s %s: index %d is drawn like another", s.Label, s.View, s.Index)
		}
	}
}

func TestEveryShapeHoldsItsSpine(t *testing.T) {
	for _, size := range [][2]int{{70, 96}, {300, 250}, {90, 320}, {64, 400}} {
		for _, s := range specs(3, func(s *Spec) { s.Width, s.Height = size[0], size[1] }) {
			p := drawn(t, s)
			if len(p.Picture.Pix) != s.Width*s.Height {
				t.Fatalf("%d pixels for %dx%d", len(p.Picture.Pix), s.Height, s.Width)
			}
			for _, v := range p.Picture.Pix {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("%s %s %d: a value of %g", s.Label, s.View, s.Index, v)
				}
			}
			inside(t, p)
		}
	}
}

// inside checks that all that the truth tells of the abnormal levels can be
// seen: curves with both end vertebrae, slips with both endplates.
func inside(t *testing.T, p *Phantom) {
	t.Helper()
	seen := map[string]Vertebra{}
	for _, v := range p.Truth.Vertebrae {
		seen[v.Level] = v
	}
	need := append([]string{}, p.Truth.Abnormal...)
	if p.Truth.Label == spine.Scoliosis {
		for _, c := range p.Truth.Curves {
			need = append(need, c.Upper, c.Lower, c.Apex)
		}
	}
	for _, l := range need {
		v, ok := seen[l]
		for _, q := range [][2]float64{v.Upper[0], v.Upper[1], v.Lower[0], v.Lower[1]} {
			ok = ok && q[0] >= 0 && q[1] >= 0 && q[0] <= float64(p.Truth.Width) && q[1] <= float64(p.Truth.Height)
		}
		if !ok {
			t.Errorf("%s %d at %dx%d: %s lies outside the picture: %+v", p.Truth.Label, p.Truth.Index, p.Truth.Height, p.Truth.Width, l, v)
		}
	}
}

// The region must be a part of the column, and brighter than what is around:
// a mask beside the bones would make every relevance figure a lie.
func TestMasksLieOnTheBones(t *testing.T) {
	var all, brighter int
	for _, s := range specs(5, func(s *Spec) { s.Width, s.Height = 160, 410 }) {
		p := drawn(t, s)
		if (p.Abnormal == nil) != (s.Label == spine.Normal) {
			t.Fatalf("%s: abnormal mask %v", s.Label, p.Abnormal != nil)
		}
		if p.Region() == nil || p.Column.Rect != image.Rect(0, 0, s.Width, s.Height) {
			t.Fatalf("%s: region or column is missing", s.Label)
		}
		column, region := area(p.Column), area(p.Region())
		if column < 0.03 || column > 0.5 || region < 0.008 || region > column {
			t.Errorf("%s %s %d: column covers %.3f of the picture, region %.3f", s.Label, s.View, s.Index, column, region)
		}
		if p.Abnormal != nil {
			if share := overlap(p.Abnormal, p.Column); share < 0.98 {
				t.Errorf("%s %d: only %.2f of the abnormal levels lies on the column", s.Label, s.Index, share)
			}
		}
		in, out := contrast(p)
		all++
		if in > out {
			brighter++
		}
		if in < out-0.03 {
			t.Errorf("%s %s %d: bones have %.3f, what is beside them %.3f", s.Label, s.View, s.Index, in, out)
		}
	}
	if brighter < all*9/10 {
		t.Errorf("only in %d of %d pictures are the bones brighter than what is beside them", brighter, all)
	}
}

func area(m *image.Gray) float64 {
	n := 0
	for _, v := range m.Pix {
		if v != 0 {
			n++
		}
	}
	return float64(n) / float64(len(m.Pix))
}

func overlap(m, with *image.Gray) float64 {
	n, both := 0, 0
	for i, v := range m.Pix {
		if v != 0 {
			n++
			if with.Pix[i] != 0 {
				both++
			}
		}
	}
	return float64(both) / float64(n)
}

// contrast returns the mean grey inside the bodies and in a strip of 8 mm at
// both their sides, row by row, where picture and truth show both.
func contrast(p *Phantom) (in, out float64) {
	w := p.Picture.Width
	gap, strip := int(4/p.Truth.MMPerPixel), int(12/p.Truth.MMPerPixel)
	var inside, beside []float32
	for y := range p.Picture.Height {
		row, pix := p.Column.Pix[y*w:(y+1)*w], p.Picture.Pix[y*w:(y+1)*w]
		first, last := bytes.IndexByte(row, 255), bytes.LastIndexByte(row, 255)
		if first < strip || last+strip >= w {
			continue
		}
		inside = append(inside, pix[first:last+1]...)
		beside = append(beside, pix[first-strip:first-gap]...)
		beside = append(beside, pix[last+gap:last+strip]...)
	}
	if len(beside) == 0 {
		return 1, 0 // the picture is too narrow to show what is beside
	}
	return meanOf(inside), meanOf(beside)
}

func TestSpecsThatCannotBeDrawn(t *testing.T) {
	good := Spec{Label: spine.Scoliosis, View: AP, Width: 200, Height: 500, Cobb: AnyCobb(), Slip: AnySlip()}
	for name, change := range map[string]func(*Spec){
		"label":    func(s *Spec) { s.Label = "kyphosis" },
		"view":     func(s *Spec) { s.View = "oblique" },
		"no side":  func(s *Spec) { s.View = Lateral },
		"no slip":  func(s *Spec) { s.Label = spine.Spondylolisthesis },
		"small":    func(s *Spec) { s.Width = 20 },
		"narrow":   func(s *Spec) { s.Width, s.Height = 100, 900 },
		"cobb":     func(s *Spec) { s.Cobb = Range{40, 90} },
		"backward": func(s *Spec) { s.Cobb = Range{40, 20} },
		"not one":  func(s *Spec) { s.Cobb.Min = math.NaN() },
		"shortcut": func(s *Spec) { s.Shortcut = "colour" },
		"strength": func(s *Spec) { s.Strength = 1.5 },
	} {
		s := good
		change(&s)
		if _, err := Draw(s); err == nil {
			t.Errorf("%s: %+v is drawn", name, s)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, s := range specs(1, func(s *Spec) { s.Width, s.Height = 250, 700 }) {
		b.Run(string(s.Label)+"-"+string(s.View), func(b *testing.B) {
			for b.Loop() {
				drawn(b, s)
			}
		})
	}
}
