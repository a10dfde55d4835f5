package regions_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/explain/relevance"
	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
	"spinebox/lab/regions"
)

func wantPlane(t *testing.T, what string, p relevance.Plane, want ...float64) {
	t.Helper()
	if len(p.Values) != len(want) {
		t.Fatalf("%s: %d cells", what, len(p.Values))
	}
	for i, v := range p.Values {
		if math.Abs(float64(v)-want[i]) > 1e-3 {
			t.Fatalf("%s: cells %v, want %v", what, p.Values, want)
		}
	}
}

// TestPlane against shares worked out by hand.
func TestPlane(t *testing.T) {
	of := func(polygons ...regions.Polygon) regions.Region {
		return regions.Region{Kind: regions.Drawn, Width: 40, Height: 20, Polygons: polygons}
	}
	// Columns 10 to 25 of 40 and rows 5 to 20 of 20, on 4×2 cells of 10×10.
	box := regions.Polygon{{10, 5}, {25, 5}, {25, 20}, {10, 20}}
	half := []float64{0, 0.5, 0.25, 0, 0, 1, 0.5, 0}
	wantPlane(t, "a box", of(box).Plane(4, 2), half...)
	wantPlane(t, "the box the other way round", of(regions.Polygon{box[3], box[2], box[1], box[0]}).Plane(4, 2), half...)
	wantPlane(t, "the box twice", of(box, box).Plane(4, 2), half...)
	wantPlane(t, "two that overlap", of(box, regions.Polygon{{20, 10}, {40, 10}, {40, 20}, {20, 20}}).Plane(4, 2), 0, 0.5, 0.25, 0, 0, 1, 1, 1)
	// The half of the picture below its diagonal: two of the cells are cut.
	wantPlane(t, "a triangle", of(regions.Polygon{{0, 0}, {40, 20}, {0, 20}}).Plane(2, 2), 0.5, 0, 1, 0.5)
	// A bow tie: each of its two triangles has a quarter of the picture.
	wantPlane(t, "an outline that crosses itself", of(regions.Polygon{{0, 0}, {40, 20}, {40, 0}, {0, 20}}).Plane(1, 1), 0.5)
	fraction := regions.Region{Kind: regions.Drawn, Polygons: []regions.Polygon{{{0.25, 0.25}, {0.625, 0.25}, {0.625, 1}, {0.25, 1}}}}
	wantPlane(t, "fractions of the picture", fraction.Plane(4, 2), half...)
	if a := of(box).Area(); math.Abs(a-15*15/800.) > 1e-3 {
		t.Errorf("area %v", a)
	}
	// A mask of 3×2 pixels, column by column: the second column and the first
	// pixel of the third are inside; on two cells, each has 1.5 columns.
	mask := regions.Region{Kind: regions.Truth, Width: 3, Height: 2, Runs: []int{2, 3, 1}}
	wantPlane(t, "a mask", mask.Plane(3, 2), 0, 1, 1, 0, 1, 0)
	wantPlane(t, "a mask on wide cells", mask.Plane(2, 1), 1/3., 2/3.)
	wantPlane(t, "a mask on small cells", mask.Plane(6, 2), 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0)
}

func save(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	shaA = strings.Repeat("a", 64)
	shaB = strings.Repeat("b", 64)
)

func TestReadAndWrite(t *testing.T) {
	set, err := regions.Read(save(t, "r.json", `{"schema":"spinebox.regions.v1","use":"","source":"by hand","coordinates":"fractions","pictures":[
		{"sha256":"`+shaB+`","kind":"drawn","width":40,"height":20,"polygons":[[[0.25,0.25],[0.625,0.25],[0.625,1]]],"marker":[[[0,0],[0.1,0],[0.1,0.1]]]},
		{"sha256":"`+shaA+`","kind":"truth","width":3,"height":2,"mask":[2,3,1]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	b, ok := set.Of(shaB)
	if !ok || b.Kind != regions.Drawn || b.Polygons[0][1] != [2]float64{25, 5} {
		t.Errorf("read as %+v", b)
	}
	if m, ok := set.Marker(shaB); !ok || m.Polygons[0][2] != [2]float64{4, 2} {
		t.Errorf("the marker is %+v", m)
	}
	if _, ok := set.Marker(shaA); ok {
		t.Error("a marker that nobody noted")
	}
	var first, second bytes.Buffer
	if err := set.Write(&first); err != nil {
		t.Fatal(err)
	}
	again, err := regions.Read(save(t, "again.json", first.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Write(&second); err != nil || first.String() != second.String() || !strings.Contains(first.String(), "by hand") {
		t.Errorf("%v; written as %s and again as %s", err, &first, &second)
	}
}

func TestReadRefuses(t *testing.T) {
	one := func(fields string) string {
		return `{"schema":"spinebox.regions.v1","coordinates":"pixels","pictures":[{"sha256":"` + shaA + `",` + fields + `}]}`
	}
	const size, triangle = `"kind":"weak","width":40,"height":20,`, `"polygons":[[[0,0],[9,0],[9,9]]]`
	for _, c := range []struct{ what, text, want string }{
		{"no JSON", "sha256,kind", "no JSON object"},
		{"LabelMe's", `{"shapes":[],"imagePath":"Jane Doe.jpg"}`, "spinelab regions import"},
		{"COCO's", `{"images":[{"file_name":"Jane Doe.jpg"}],"annotations":[]}`, "spinelab regions import"},
		{"another schema", `{"schema":"spinebox.regions.v2"}`, "its schema is not spinebox.regions.v1"},
		{"no coordinates", `{"schema":"spinebox.regions.v1","pictures":[]}`, "neither pixels nor fractions"},
		{"an unknown field", one(size + triangle + `,"patient":"Jane Doe"`), "unknown field"},
		{"no digest", strings.Replace(one(size+triangle), shaA, "Jane Doe", 1), "64 lower-case hex digits"},
		{"no size", one(`"kind":"weak",` + triangle), "picture 1: in pixels, it needs width and height"},
		{"no kind", one(`"width":40,"height":20,` + triangle), "none of truth, drawn and weak"},
		{"neither polygons nor mask", one(size + `"polygons":[]`), "either polygons or a mask"},
		{"both", one(size + triangle + `,"mask":[800]`), "either polygons or a mask"},
		{"two corners", one(size + `"polygons":[[[0,0],[9,9]]]`), "polygon 1 has too few corners"},
		{"a corner beside the picture", one(size + `"polygons":[[[0,0],[9,0],[9,21]]]`), "polygon 1 leaves the picture of 40x20"},
		{"a line", one(size + `"polygons":[[[0,0],[9,0],[5,0]]]`), "polygon 1 encloses nothing"},
		{"a mask too short", one(size + `"mask":[100,50]`), "its mask covers 150 of 800 pixels"},
		{"a mask too long", one(size + `"mask":[700,500]`), "its mask's runs are not those"},
		{"a marker beside the picture", one(size + triangle + `,"marker":[[[0,0],[90,0],[9,9]]]`), "its marker: polygon 1 leaves"},
	} {
		_, err := regions.Read(save(t, "r.json", c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", c.what, err, c.want)
		} else if c.what != "an unknown field" && strings.Contains(err.Error(), "Doe") {
			t.Errorf("%s: the error names a person: %v", c.what, err)
		}
	}
	if _, err := regions.Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no truth.jsonl") {
		t.Errorf("a folder of no phantoms: %v", err)
	}
}

// TestPhantoms compares what is read with what was drawn.
func TestPhantoms(t *testing.T) {
	dir := t.TempDir()
	drawn := map[string]*phantom.Phantom{}
	set := phantom.Set{Dir: dir, Count: 6, Seed: 3, Format: phantom.PNG, Cobb: phantom.AnyCobb(), Slip: phantom.AnySlip(),
		Sizing: phantom.Sizing{Kind: phantom.FixedSize, Width: 80, Height: 240}, Shortcut: phantom.MarkerShortcut, Strength: 1, Workers: 2,
		Drawn: func(p *phantom.Phantom) { drawn[filepath.Base(p.Truth.File)] = p }}
	if err := set.Write(context.Background()); err != nil {
		t.Fatal(err)
	}
	read, err := regions.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	data, err := dataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	markers := 0
	for _, item := range data.Items {
		p := drawn[filepath.Base(item.Path)]
		r, ok := read.Of(item.SHA256)
		if !ok || r.Kind != regions.Truth {
			t.Fatalf("%v has no region", item)
		}
		plane, want := r.Plane(80, 240), p.Region()
		for i, v := range plane.Values {
			if (v == 1) != (want.Pix[i] == 255) || v != 0 && v != 1 {
				t.Fatalf("%v: pixel %d is %v, and %d in its mask", item, i, v, want.Pix[i])
			}
		}
		m, ok := read.Marker(item.SHA256)
		if ok != (p.Truth.Marker != nil) {
			t.Errorf("%v: marker %v", item, ok)
		}
		if ok {
			markers++
			b := p.Truth.Marker.Box
			if got, want := m.Area()*80*240, float64((b.X1-b.X0)*(b.Y1-b.Y0)); math.Abs(got-want) > 0.02*want {
				t.Errorf("%v: a marker of %.1f pixels, want %.1f", item, got, want)
			}
		}
	}
	if markers == 0 {
		t.Error("no phantom has a marker")
	}
}

func grey(t *testing.T, path string, width, height int, bright image.Rectangle) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, width, height))
	for y := bright.Min.Y; y < bright.Max.Y; y++ {
		for x := bright.Min.X; x < bright.Max.X; x++ {
			m.SetGray(x, y, color.Gray{255})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMasksOfAList(t *testing.T) {
	dir := t.TempDir()
	grey(t, filepath.Join(dir, "Jane Doe.png"), 20, 40, image.Rect(3, 3, 9, 9))
	grey(t, filepath.Join(dir, "other.png"), 20, 40, image.Rect(4, 3, 9, 9))
	grey(t, filepath.Join(dir, "Jane Doe mask.png"), 20, 40, image.Rect(5, 0, 15, 40))
	grey(t, filepath.Join(dir, "Jane Doe small.png"), 10, 20, image.Rect(5, 0, 10, 20))
	list := func(rows string) string {
		path := filepath.Join(dir, "list.csv")
		if err := os.WriteFile(path, []byte("file,label,mask\n"+rows), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := list("Jane Doe.png,scol,Jane Doe mask.png\nother.png,normal,\n")
	set, err := regions.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := dataset.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range data.Items {
		r, ok := set.Of(item.SHA256)
		if ok != (item.Mask != "") || ok && (r.Kind != regions.Drawn || r.Area() != 0.5) {
			t.Errorf("%v: region %v, %+v", item, ok, r)
		}
	}
	for rows, want := range map[string]string{
		"Jane Doe.png,scol,Jane Doe small.png\n": "on line 2: its region was drawn on 10x20 pixels (width x height) and the picture has 20x40: make the region anew",
		"Jane Doe.png,scol,list.csv\n":           "on line 2: its mask is no PNG",
		"Jane Doe.png,scol,\n":                   "no line names a mask",
	} {
		_, err := regions.Read(list(rows))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Doe") {
			t.Errorf("error %v, want %q and no name", err, want)
		}
	}
}
