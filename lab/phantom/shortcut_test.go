package phantom

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"testing"

	"spinebox/internal/spine"
)

// widthAUC is how well the width alone tells normal from the other classes:
// 0.5 is chance.
func widthAUC(set Set, n int) float64 {
	var normal, other []int
	for i := range n {
		if s := set.Spec(i); s.Label == spine.Normal {
			normal = append(normal, s.Width)
		} else {
			other = append(other, s.Width)
		}
	}
	var won float64
	for _, a := range normal {
		for _, b := range other {
			switch {
			case a < b:
				won++
			case a == b:
				won += 0.5
			}
		}
	}
	return won / float64(len(normal)*len(other))
}

func TestWidthShortcut(t *testing.T) {
	set := Set{Seed: 3, Sizing: Sizing{Kind: PACSSizes}}
	if auc := widthAUC(set, 3000); auc < 0.46 || auc > 0.54 {
		t.Errorf("without a shortcut the width alone has an AUC of %.3f", auc)
	}
	set.Shortcut = WidthShortcut
	set.Strength = 0.5
	half := widthAUC(set, 3000)
	set.Strength = 1
	if full := widthAUC(set, 3000); full < 0.85 || half < 0.6 || half > full-0.1 {
		t.Errorf("the width alone has an AUC of %.3f at strength 0.5 and %.3f at 1", half, full)
	}
}

// Classes and views must not differ in size at all: the draw is the same.
func TestSizeKnowsNoClass(t *testing.T) {
	for _, kind := range []string{PACSSizes, ArchiveSizes} {
		for i := range 200 {
			var sizes [][2]int
			for _, l := range spine.Labels() {
				s := Spec{Label: l, Seed: 4, Index: i}
				s.size(Sizing{Kind: kind})
				sizes = append(sizes, [2]int{s.Width, s.Height})
			}
			if sizes[0] != sizes[1] || sizes[0] != sizes[2] {
				t.Fatalf("%s %d: %v", kind, i, sizes)
			}
		}
	}
}

// TestMarkerShortcut: the marks lie in one place, look alike within a class, and
// differ between the classes.
func TestMarkerShortcut(t *testing.T) {
	places := map[Box]bool{}
	looks := map[spine.Label]map[string]bool{}
	for _, s := range specs(3, nil) {
		plain := drawn(t, s)
		s.Shortcut, s.Strength = MarkerShortcut, 1
		cheat := drawn(t, s)
		m := cheat.Truth.Marker
		if m == nil || cheat.Truth.Shortcut != "marker" || plain.Truth.Shortcut != "" {
			t.Fatalf("%s: marker %+v, shortcut %q", s.Label, m, cheat.Truth.Shortcut)
		}
		places[m.Box] = true
		// Nothing but the marker may differ, or the pair would prove nothing.
		look := ""
		for i, v := range cheat.Picture.Pix {
			x, y := i%s.Width, i/s.Width
			in := func(m *Marker) bool {
				return m != nil && x >= m.Box.X0 && x < m.Box.X1 && y >= m.Box.Y0 && y < m.Box.Y1
			}
			if in(m) {
				look += map[bool]string{true: "#", false: "."}[math.Abs(float64(v)-0.96) < 1e-6]
			}
			if plain.Picture.Pix[i] != v && !in(m) && !in(plain.Truth.Marker) {
				t.Fatalf("%s %s: pixel %d,%d differs beside the marker", s.Label, s.View, x, y)
			}
		}
		if looks[s.Label] == nil {
			looks[s.Label] = map[string]bool{}
		}
		looks[s.Label][look] = true
	}
	if len(places) != 1 {
		t.Errorf("the marks lie in %v", places)
	}
	all := map[string]bool{}
	for label, look := range looks {
		if len(look) != 1 {
			t.Errorf("%s has marks of %d looks", label, len(look))
		}
		maps.Copy(all, look)
	}
	if len(all) != len(looks) {
		t.Errorf("%d classes have marks of %d looks", len(looks), len(all))
	}
}

// quantiser returns the first table of a JPEG file.
func quantiser(t *testing.T, b []byte) string {
	t.Helper()
	at := bytes.Index(b, []byte{0xff, 0xdb})
	if at < 0 {
		t.Fatal("no quantiser in the file")
	}
	return string(b[at+5 : at+69])
}

func TestJPEGShortcut(t *testing.T) {
	tables := func(strength float64) map[spine.Label][]string {
		found := map[spine.Label][]string{}
		for _, s := range specs(12, func(s *Spec) {
			s.Width, s.Height = 64, 96
			s.Shortcut, s.Strength = JPEGShortcut, strength
		}) {
			q := quantiser(t, encoded(t, drawn(t, s), JPEG))
			if !slices.Contains(found[s.Label], q) {
				found[s.Label] = append(found[s.Label], q)
			}
		}
		return found
	}
	own := map[string]bool{}
	for l, q := range tables(1) {
		if len(q) != 1 {
			t.Errorf("at strength 1, %s has %d quantisers", l, len(q))
		}
		own[q[0]] = true
	}
	if len(own) != 3 {
		t.Errorf("at strength 1, there are %d quantisers for 3 classes", len(own))
	}
	plain := tables(0)
	for _, l := range spine.Labels() {
		for _, q := range plain[l] {
			if len(plain[l]) < 3 || !slices.Contains(plain[spine.Normal], q) {
				t.Errorf("at strength 0, %s has a quantiser that normal has not", l)
			}
		}
	}
}

// What is in every picture alike must stay so: markers, borders, mean grey.
func TestNothingElseTellsTheClasses(t *testing.T) {
	type facts struct {
		marked, shuttered int
		grey              float64
	}
	found := map[spine.Label]*facts{}
	const n = 30
	for i := range n {
		for _, l := range spine.Labels() {
			s := Spec{Label: l, View: AP, Seed: 8, Index: i, Width: 64, Height: 160, Cobb: AnyCobb(), Slip: AnySlip()}
			if l == spine.Spondylolisthesis {
				s.View = Lateral
			}
			p := drawn(t, s)
			if found[l] == nil {
				found[l] = &facts{}
			}
			f := found[l]
			f.grey += meanOf(p.Picture.Pix) / n
			if p.Truth.Marker != nil {
				f.marked++
			}
			if p.Truth.Shuttered {
				f.shuttered++
			}
		}
	}
	normal := found[spine.Normal]
	for l, f := range found {
		if f.marked != normal.marked || f.shuttered != normal.shuttered || f.marked == 0 || f.marked == n {
			t.Errorf("%s: %+v, normal: %+v", l, f, normal)
		}
		if d := f.grey - normal.grey; d > 0.02 || d < -0.02 {
			t.Errorf("%s has a mean grey of %.3f, normal %.3f", l, f.grey, normal.grey)
		}
	}
}
