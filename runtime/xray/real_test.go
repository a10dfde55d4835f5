package xray

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// realXrays returns the folder of the paper's own 338 X-rays, which lies beside
// the project and never in it.
func realXrays(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SPINEBOX_XRAYS")
	if dir == "" {
		dir = "../../../shared/xrays"
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.csv")); err != nil {
		skipOrFail(t, "the folder of real X-rays ("+dir+", or SPINEBOX_XRAYS)")
	}
	return dir
}

// TestRealXrays decodes all of them: each has the manifest's size, is whole,
// and is no colour photograph.
func TestRealXrays(t *testing.T) {
	dir := realXrays(t)
	f, err := os.Open(filepath.Join(dir, "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	var hues []float64
	var spent time.Duration
	for i, row := range rows[1:] {
		if raceDetector && i%10 != 0 {
			continue
		}
		name := row[column("file")]
		path := filepath.Join(dir, name)
		begin := time.Now()
		p, err := Decode(path, DefaultLimits())
		spent += time.Since(begin)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strconv.Itoa(p.Width) != row[column("width")] || strconv.Itoa(p.Height) != row[column("height")] {
			t.Errorf("%s: %dx%d, the manifest has %sx%s", name, p.Width, p.Height, row[column("width")], row[column("height")])
		}
		for _, v := range p.Pix {
			if !(v >= 0 && v <= 1) {
				t.Errorf("%s: a value of %g", name, v)
				break
			}
		}
		if whole := wholeFile(t, path); !whole {
			t.Errorf("%s: not whole", name)
		}
		if p.Facts.Hues > MaxHues/2 {
			t.Errorf("%s: hues %.3f", name, p.Facts.Hues)
		}
		hues = append(hues, p.Facts.Hues)
	}
	slices.Sort(hues)
	t.Logf("%d X-rays, %.1f ms each; hues: median %.3f, the highest %.3f",
		len(hues), spent.Seconds()*1000/float64(len(hues)), hues[len(hues)/2], hues[len(hues)-4:])
}

func wholeFile(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Whole(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return whole
}
