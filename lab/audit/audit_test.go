package audit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/audit"
	"spinebox/lab/dataset"
)

// picture is a JPEG of soft random blobs: no two seeds are alike.
func picture(t *testing.T, seed uint64, width, height, quality int, tint bool) []byte {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	var blobs [12][4]float64
	for i := range blobs {
		blobs[i] = [4]float64{random.Float64(), random.Float64(), 0.05 + 0.2*random.Float64(), random.Float64()}
	}
	for y := range height {
		for x := range width {
			v := 0.1
			for _, b := range blobs {
				dx, dy := float64(x)/float64(width)-b[0], float64(y)/float64(height)-b[1]
				if dx*dx+dy*dy < b[2]*b[2] {
					v += b[3] * 0.4
				}
			}
			g := uint8(min(v, 1) * 255)
			c := color.NRGBA{g, g, g, 255}
			if tint {
				c.B /= 2
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// withGPS puts EXIF data with a place and a maker into a JPEG.
func withGPS(raw []byte, maker string) []byte {
	le := binary.LittleEndian
	tiff := []byte("II*\x00\x08\x00\x00\x00")
	entry := func(tag, kind uint16, count, value uint32) {
		tiff = le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(tiff, tag), kind), count), value)
	}
	tiff = le.AppendUint16(tiff, 2)
	text := uint32(8 + 2 + 2*12 + 4)
	gps := text + uint32(len(maker)+1)
	entry(0x010f, 2, uint32(len(maker)+1), text)
	entry(0x8825, 4, 1, gps)
	tiff = le.AppendUint32(tiff, 0)
	tiff = append(append(tiff, maker...), 0)
	tiff = le.AppendUint16(tiff, 4)
	rationals := gps + 2 + 4*12 + 4
	entry(1, 2, 2, uint32('N'))
	entry(2, 5, 3, rationals)
	entry(3, 2, 2, uint32('E'))
	entry(4, 5, 3, rationals)
	tiff = le.AppendUint32(tiff, 0)
	for range 3 {
		tiff = le.AppendUint32(le.AppendUint32(tiff, 32), 1)
	}
	segment := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1}, binary.BigEndian.AppendUint16(nil, uint16(len(segment)+2))...)
	return append(append(out, segment...), raw[2:]...)
}

func read(t *testing.T, files map[string][]byte) *dataset.Set {
	t.Helper()
	dir := t.TempDir()
	for name, raw := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := dataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func look(t *testing.T, set *dataset.Set) *audit.Audit {
	t.Helper()
	a, err := audit.Look(context.Background(), set, audit.Options{Cores: 2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func folders() map[spine.Label]string {
	return map[spine.Label]string{spine.Normal: "Normal", spine.Scoliosis: "Scol", spine.Spondylolisthesis: "Spond"}
}

// balanced gives every class the same chances; wide says how wide pictures of
// a class are.
func balanced(t *testing.T, wide func(class int, r *rand.Rand) int) map[string][]byte {
	random := rand.New(rand.NewPCG(5, 6))
	files := map[string][]byte{}
	for k, label := range spine.Labels() {
		for i := range 20 {
			files[fmt.Sprintf("%s/%d.jpg", folders()[label], i)] = picture(t, uint64(100*k+i), wide(k, random), 80+random.IntN(60), 85, false)
		}
	}
	return files
}

func TestWidthGivesTheClassAway(t *testing.T) {
	a := look(t, read(t, balanced(t, func(class int, r *rand.Rand) int { return 40 + 30*class + r.IntN(20) })))
	for _, f := range a.Floors[:2] {
		if f.Accuracy < 0.9 {
			t.Errorf("%s gets %.2f from the width, want nearly all", f.Name, f.Accuracy)
		}
	}
	if a.Traits[0].Name != "width" || a.Traits[0].AUC < 0.99 {
		t.Errorf("the worst trait is %+v", a.Traits[0])
	}
	if len(a.Warnings) == 0 || !strings.Contains(a.Warnings[0], "without looking at a spine") {
		t.Errorf("warnings: %q", a.Warnings)
	}
}

func TestNothingGivesTheClassAway(t *testing.T) {
	a := look(t, read(t, balanced(t, func(_ int, r *rand.Rand) int { return 40 + r.IntN(80) })))
	for _, f := range a.Floors {
		if f.Interval.Low > 1./3 {
			t.Errorf("%s is above chance on a balanced set: %+v", f.Name, f)
		}
		n := 0
		for _, row := range f.Confusion {
			for _, v := range row {
				n += v
			}
		}
		if n != 60 {
			t.Errorf("%s answered for %d of 60 pictures", f.Name, n)
		}
	}
	if len(a.Warnings) != 0 {
		t.Errorf("warnings: %q", a.Warnings)
	}
}

func TestFindings(t *testing.T) {
	files := balanced(t, func(_ int, r *rand.Rand) int { return 40 + r.IntN(80) })
	original := picture(t, 999, 120, 200, 95, false)
	files["Normal/original.jpg"] = original
	files["Normal/again.jpg"] = original
	files["Normal/encoded-anew.jpg"] = picture(t, 999, 120, 200, 40, false)
	for i := range 6 {
		files[fmt.Sprintf("Scol/tinted%d.jpg", i)] = picture(t, uint64(2000+i), 90, 120, 85, true)
	}
	files["Spond/place.jpg"] = withGPS(picture(t, 3000, 90, 120, 85, false), "Maker Planted")
	files["Spond/broken.jpg"] = original[:300]
	a := look(t, read(t, files))
	if len(a.Duplicates) != 1 || len(a.Duplicates[0]) != 2 {
		t.Errorf("duplicates: %v", a.Duplicates)
	}
	if len(a.Near) == 0 || a.Near[0].Distance > 20 || a.Near[0].SameGroup {
		t.Errorf("near duplicates: %+v", a.Near)
	}
	if a.Tinted[spine.Scoliosis] != 6 || a.Tinted[spine.Normal] != 0 {
		t.Errorf("tinted: %v", a.Tinted)
	}
	if a.Personal.GPS != 1 || a.Personal.EXIF != 1 || len(a.Cameras) != 1 {
		t.Errorf("EXIF: %+v, cameras %v", a.Personal, a.Cameras)
	}
	if len(a.Unreadable) != 1 || !strings.HasSuffix(a.Unreadable[0], "corrupt") {
		t.Errorf("unreadable: %v", a.Unreadable)
	}
	if len(a.Quantisers) != 3 {
		t.Errorf("%d JPEG settings, want those of quality 85, 95 and 40: %v", len(a.Quantisers), a.Quantisers)
	}
}

// The archive's own way to name files, with planted persons.
func TestNothingOfANameIsRepeated(t *testing.T) {
	files := balanced(t, func(_ int, r *rand.Rand) int { return 40 + r.IntN(80) })
	planted := []string{"Planted", "Lopez", "43 Yrs", "Olisthesis", "TAIS"}
	files["Scol/N100, Rt TAIS, F, 43 Yrs.jpg"] = picture(t, 4000, 90, 120, 85, false)
	files["Spond/N18, L4-5 Olisthesis, Planted Lopez.jpg"] = withGPS(picture(t, 4001, 90, 120, 85, false), "Planted")
	files["Spond/Planted Lopez 1980-02-03.jpg"] = []byte("no picture")
	a := look(t, read(t, files))
	for _, kind := range []string{"age", "sex", "date", "diagnosis", "person"} {
		if a.Personal.Names[kind] == 0 {
			t.Errorf("no file name told of %s: %v", kind, a.Personal.Names)
		}
	}
	var out bytes.Buffer
	if err := a.Page(&out); err != nil {
		t.Fatal(err)
	}
	if err := a.Manifest(&out); err != nil {
		t.Fatal(err)
	}
	a.Summary(&out)
	if err := json.NewEncoder(&out).Encode(a); err != nil {
		t.Fatal(err)
	}
	for _, name := range planted {
		if strings.Contains(out.String(), name) {
			t.Errorf("%q is in what the audit writes", name)
		}
	}
}

// The floors are of the study's pictures, on its folds.
func TestFloorsOnAStudysFolds(t *testing.T) {
	set := read(t, balanced(t, func(class int, r *rand.Rand) int { return 40 + 30*class + r.IntN(20) }))
	folds := map[string]int{}
	for i, item := range set.Items[:40] {
		folds[item.SHA256] = i % 2
	}
	a, err := audit.Look(context.Background(), set, audit.Options{Cores: 2, Seed: 1, Folds: folds})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Floors {
		n := 0
		for _, row := range f.Confusion {
			for _, v := range row {
				n += v
			}
		}
		if n != 40 {
			t.Errorf("%s answered for %d pictures, the study has 40", f.Name, n)
		}
	}
	for sha := range folds {
		folds[sha] = 3
	}
	if _, err := audit.Look(context.Background(), set, audit.Options{Seed: 1, Folds: folds}); err == nil {
		t.Error("one fold alone has floors")
	}
}
