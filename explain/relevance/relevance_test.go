package relevance_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"spinebox/explain/relevance"
	"spinebox/internal/spine"
)

func plane(width int, values ...float32) relevance.Plane {
	return relevance.Plane{Width: width, Height: len(values) / width, Values: values}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %.9g, want %.9g", what, got, want)
	}
}

// Worked by hand: 10 in all, 6 of it in the two cells of the region.
func TestMeasure(t *testing.T) {
	m := plane(4,
		0, 1, 0, 0,
		0, 4, 2, 3)
	region := plane(4,
		0, 0, 0, 0,
		0, 1, 1, 0)
	l, err := relevance.Measure(m, region)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy", l.Energy, 0.6, 1e-9)
	near(t, "lift", l.Lift, 0.6/0.25, 1e-9)
	near(t, "hit", l.Hit, 1, 0)
	// Otsu parts {0,1} from {2,3,4}: two of three cells above are inside.
	near(t, "IoU", l.IoU, 2./3, 1e-9)
	// 4 (in), 3 (out), 2 (in): precision 1 and 2/3 at the two steps of recall.
	near(t, "AUPRC", l.AUPRC, 0.5*1+0.5*2/3, 1e-9)
}

func TestMeasureFloors(t *testing.T) {
	region := plane(4, 0, 1, 0, 0, 0, 0.5, 0, 0)
	l, err := relevance.Measure(relevance.Uniform(4, 2), region)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the uniform map's lift", l.Lift, 1, 1e-9)
	near(t, "the uniform map's hit rate", l.Hit, 2./8, 1e-9)
	near(t, "the uniform map's AUPRC", l.AUPRC, 2./8, 1e-9)
	near(t, "the uniform map's IoU", l.IoU, 2./8, 1e-9)
	if l, err = relevance.Measure(relevance.NewPlane(4, 2), region); err != nil || l != (relevance.Localisation{}) {
		t.Errorf("an empty map: %+v, %v", l, err)
	}
	centred := relevance.Centred(5, 9)
	for i, v := range centred.Values {
		if mirrored := centred.Values[len(centred.Values)-1-i]; v != mirrored || v > centred.Values[22] {
			t.Fatalf("cell %d of the centred map is %g, mirrored %g, in the middle %g", i, v, mirrored, centred.Values[22])
		}
	}
	average, err := relevance.Average([]relevance.Plane{plane(2, 0, 1), plane(2, 1, 1)})
	if err != nil || average.Values[0] != 0.5 || average.Values[1] != 1 {
		t.Errorf("average %v, %v", average, err)
	}
}

func TestMeasureErrors(t *testing.T) {
	m := relevance.Uniform(4, 2)
	for what, region := range map[string]relevance.Plane{
		"another size":      relevance.NewPlane(2, 4),
		"an empty region":   relevance.NewPlane(4, 2),
		"the whole picture": relevance.Uniform(4, 2),
	} {
		if l, err := relevance.Measure(m, region); err == nil {
			t.Errorf("%s: %+v and no error", what, l)
		}
	}
}

func TestBorder(t *testing.T) {
	near(t, "the uniform map's border", relevance.Border(relevance.Uniform(7, 13)), 1-0.64, 1e-9)
	middle := relevance.NewPlane(10, 10)
	middle.Values[55] = 1
	near(t, "the middle's border", relevance.Border(middle), 0, 1e-9)
	middle.Values[9] = 3
	near(t, "border with three quarters in a corner", relevance.Border(middle), 0.75, 1e-9)
	marker := relevance.NewPlane(10, 10)
	marker.Values[9] = 1
	share, err := relevance.Share(middle, marker)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "share on the marker", share, 0.75, 1e-9)
}

// A letterboxed map: the picture is the middle half of the input.
func TestOnGridCutsThePadding(t *testing.T) {
	h := &spine.Heatmap{Width: 4, Height: 1, Values: []float32{100, 2, 2, 100}, Max: 100, Content: spine.Rect{X0: 0.375, X1: 0.625, Y1: 1}}
	p, err := relevance.OnGrid(h, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range p.Values {
		near(t, "the map over the picture", float64(v), 2, 1e-6)
	}
	h.Values, h.Max = make([]float32, 4), 0
	if p, err = relevance.OnGrid(h, 2, 3); err != nil || p.Sum() != 0 {
		t.Errorf("an empty map: %v, %v", p, err)
	}
}

// A network that counts the light in the left half, and nothing else.
func TestProbe(t *testing.T) {
	const w, h = 20, 10
	picture, left, right := relevance.NewPlane(w, h), relevance.NewPlane(w, h), relevance.NewPlane(w, h)
	for i := range picture.Values {
		picture.Values[i] = float32(i % 2) // stripes: a blurred copy is another picture
		if i%w < w/2 {
			left.Values[i] = 1
		} else {
			right.Values[i] = 1
		}
	}
	ask := func(pictures []relevance.Plane) ([]float64, error) {
		p := make([]float64, len(pictures))
		for k, q := range pictures {
			for i, v := range q.Values {
				if i%w < w/2 && picture.Values[i] == v {
					p[k] += 1. / (w * h / 2)
				}
			}
		}
		return p, nil
	}
	good, err := relevance.Probe(picture, left, ask)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := relevance.Probe(picture, right, ask)
	if err != nil {
		t.Fatal(err)
	}
	// The right cells come in during the first ten of twenty steps: the area is
	// that of a ramp and a plateau, 0.25 + 0.5; the reverse for the others.
	near(t, "insertion of the right cells", good.Insertion, 0.75, 1e-6)
	near(t, "deletion of the right cells", good.Deletion, 0.25, 1e-6)
	near(t, "insertion of the wrong cells", bad.Insertion, 0.25, 1e-6)
	near(t, "deletion of the wrong cells", bad.Deletion, 0.75, 1e-6)
	near(t, "drop with the right cells shown", good.Drop, 0, 1e-6)
	near(t, "drop with the wrong cells shown", bad.Drop, 0.5, 1e-6)
	if _, err := relevance.Probe(picture, relevance.NewPlane(w, h), ask); err == nil {
		t.Error("an empty map has no order, and Probe gave figures")
	}
}

func TestBlur(t *testing.T) {
	p := relevance.NewPlane(41, 41)
	p.Values[20*41+20] = 1
	b := relevance.Blur(p, 2)
	near(t, "the sum after blurring", b.Sum(), 1, 1e-5)
	var variance float64
	for i, v := range b.Values {
		d := float64(i%41 - 20)
		variance += d * d * float64(v)
	}
	near(t, "the variance of the blur", variance, 4, 0.15) // cut at three deviations
	even := relevance.Blur(relevance.Uniform(9, 5), 3)
	for _, v := range even.Values {
		near(t, "an even plane, blurred", float64(v), 1, 1e-5)
	}
}

// reference.json holds scikit-image's, scikit-learn's and SciPy's figures for
// made maps; testdata/reference.py made it.
func TestPublishedImplementations(t *testing.T) {
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Width, Height                       int
		A, B, Region                        []float32
		Otsu, AUPRC, SSIM, Spearman, Energy float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		a, b := relevance.Plane{Width: c.Width, Height: c.Height, Values: c.A}, relevance.Plane{Width: c.Width, Height: c.Height, Values: c.B}
		l, err := relevance.Measure(a, relevance.Plane{Width: c.Width, Height: c.Height, Values: c.Region})
		if err != nil {
			t.Fatal(err)
		}
		ssim, err := relevance.SSIM(a, b)
		if err != nil {
			t.Fatal(err)
		}
		spearman, err := relevance.Spearman(a, b)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "Otsu's threshold", relevance.Otsu(a), c.Otsu, 1e-6)
		near(t, "average precision", l.AUPRC, c.AUPRC, 1e-9)
		near(t, "SSIM", ssim, c.SSIM, 1e-6)
		near(t, "Spearman", spearman, c.Spearman, 1e-9)
		near(t, "energy", l.Energy, c.Energy, 1e-6)
	}
}

func TestSimilarity(t *testing.T) {
	a := relevance.Centred(12, 9)
	ssim, err := relevance.SSIM(a, a)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "SSIM with itself", ssim, 1, 1e-9)
	upside := relevance.NewPlane(12, 9)
	for i, v := range a.Values {
		upside.Values[i] = 1 - v
	}
	rank, err := relevance.Spearman(a, upside)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "Spearman with its reverse", rank, -1, 1e-9)
	if _, err := relevance.SSIM(relevance.Uniform(6, 9), relevance.Uniform(6, 9)); err == nil {
		t.Error("six cells make no window of seven, and SSIM gave a figure")
	}
	if even, err := relevance.Spearman(a, relevance.Uniform(12, 9)); err != nil || even != 0 {
		t.Errorf("an even map's rank correlation: %g, %v", even, err)
	}
}
