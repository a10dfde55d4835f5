package regions_test

import (
	"encoding/base64"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/lab/dataset"
	"spinebox/lab/regions"
)

// archive is a small data set with names as the paper's archive has them, two
// of them the same in two folders. All pictures are 20 pixels wide, 40 high.
func archive(t *testing.T) *dataset.Set {
	t.Helper()
	dir := t.TempDir()
	for i, name := range []string{"NormalFinal/N25,N,F,21_1_0.png", "ScolFinal/N100, Rt TAIS, F, 21 Yrs.png", "ScolFinal/1.png", "NormalFinal/1.png"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		grey(t, path, 20, 40, image.Rect(i, i, 15, 35))
	}
	set, err := dataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// digestOf returns the digest of the picture with that name.
func digestOf(t *testing.T, data *dataset.Set, name string) string {
	t.Helper()
	for _, item := range data.Items {
		if strings.HasSuffix(item.Path, name) {
			return item.SHA256
		}
	}
	t.Fatalf("no %s", name)
	return ""
}

func TestImportLabelMe(t *testing.T) {
	data := archive(t)
	dir := t.TempDir()
	grey(t, filepath.Join(dir, "mask.png"), 10, 10, image.Rect(0, 0, 10, 5))
	raw, err := os.ReadFile(filepath.Join(dir, "mask.png"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a.json": `{"version":"5.5.0","flags":{},"imagePath":"..\\ScolFinal\\N100, Rt TAIS, F, 21 Yrs.png","imageData":null,"imageWidth":20,"imageHeight":40,"shapes":[
			{"label":"column","shape_type":"rectangle","points":[[5,0],[15,20]]},
			{"label":"column","shape_type":"polygon","points":[[5,20],[15,20],[15,44],[5,40]]},
			{"label":"Marker","shape_type":"rectangle","points":[[0,0],[4,4]]},
			{"label":"rib","shape_type":"circle","points":[[10,10],[10,14]]}]}`,
		"b.json": `{"imagePath":"NormalFinal/1.png","shapes":[{"label":"column","points":[[0,0],[20,0],[20,10],[0,10]]}]}`,
		"c.json": `{"imagePath":"N25,N,F,21_1_0.png","imageWidth":20,"imageHeight":40,"shapes":[
			{"label":"column","shape_type":"mask","points":[[5,10],[14,19]],"mask":"` + base64.StdEncoding.EncodeToString(raw) + `"},
			{"label":"column","shape_type":"rectangle","points":[[0,30],[20,40]]}]}`,
		"d.json": `{"imagePath":"elsewhere.png","shapes":[]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := regions.Import(dir, data, regions.Drawn, "column")
	if err != nil {
		t.Fatal(err)
	}
	if set.Missing != 1 {
		t.Errorf("%d pictures are missing", set.Missing)
	}
	for name, want := range map[string]float64{
		"21 Yrs.png":        0.5,                          // two pieces; what lies beneath the picture is cut off
		"NormalFinal/1.png": 0.25,                         // and not the other 1.png
		"21_1_0.png":        (10*5 + 20*10) / (20. * 40.), // a mask and a rectangle
	} {
		r, ok := set.Of(digestOf(t, data, name))
		if !ok || r.Kind != regions.Drawn || math.Abs(r.Area()-want) > 1e-3 || r.Fits(20, 40) != nil {
			t.Errorf("%s: %v, area %.4f of %dx%d, want %.4f", name, ok, r.Area(), r.Width, r.Height, want)
		}
	}
	if _, ok := set.Of(digestOf(t, data, "ScolFinal/1.png")); ok {
		t.Error("a picture got another's region")
	}
	if m, ok := set.Marker(digestOf(t, data, "21 Yrs.png")); !ok || math.Abs(m.Area()-0.02) > 1e-3 {
		t.Errorf("the marker: %v, area %v", ok, m.Area())
	}
	all, err := regions.Import(filepath.Join(dir, "a.json"), data, regions.Weak, "")
	if err != nil {
		t.Fatal(err)
	}
	// The circle of radius 4 lies within the column but for what is left of x = 6.
	if r, _ := all.Of(digestOf(t, data, "21 Yrs.png")); r.Kind != regions.Weak || math.Abs(r.Area()-0.5) > 1e-3 {
		t.Errorf("with all labels the area is %.4f, kind %s", r.Area(), r.Kind)
	}
}

func TestImportCOCO(t *testing.T) {
	data := archive(t)
	// The string is what COCO's API makes of the runs 200, 400, 150, 30, 20.
	path := save(t, "coco.json", `{"images":[
		{"id":1,"file_name":"N25,N,F,21_1_0.png","width":20,"height":40},
		{"id":2,"file_name":"ScolFinal/1.png","width":20,"height":40},
		{"id":3,"file_name":"N100, Rt TAIS, F, 21 Yrs.png","width":20,"height":40},
		{"id":4,"file_name":"gone.png","width":1,"height":1}],
		"categories":[{"id":7,"name":"column"},{"id":8,"name":"marker"}],
		"annotations":[
		{"image_id":1,"category_id":7,"segmentation":[[0,0,20,0,20,10,0,10],[0,30,20,30,20,40,0,40]]},
		{"image_id":1,"category_id":8,"segmentation":[[0,0,4,0,4,4,0,4]]},
		{"image_id":2,"category_id":7,"iscrowd":1,"segmentation":{"size":[40,20],"counts":[200,0,0,400,200]}},
		{"image_id":3,"category_id":7,"segmentation":{"size":[40,20],"counts":"X6`+"`"+`<f4^DnK"}},
		{"image_id":4,"category_id":7,"segmentation":[[0,0,1,0,1,1]]}]}`)
	set, err := regions.Import(path, data, regions.Drawn, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"21_1_0.png": 0.5, "ScolFinal/1.png": 0.5, "21 Yrs.png": 430. / 800} {
		r, ok := set.Of(digestOf(t, data, name))
		if !ok || math.Abs(r.Area()-want) > 1e-3 {
			t.Errorf("%s: %v, area %.4f, want %.4f", name, ok, r.Area(), want)
		}
	}
	if set.Missing != 1 {
		t.Errorf("%d pictures are missing", set.Missing)
	}
	if _, ok := set.Marker(digestOf(t, data, "21_1_0.png")); !ok {
		t.Error("no marker")
	}
}

func TestImportRefuses(t *testing.T) {
	data := archive(t)
	labelMe := func(size, shape string) string {
		return `{"imagePath":"N25,N,F,21_1_0.png",` + size + `"shapes":[` + shape + `]}`
	}
	coco := func(segmentation string) string {
		return `{"images":[{"id":1,"file_name":"N25,N,F,21_1_0.png","width":20,"height":40}],"annotations":[{"image_id":1,"segmentation":` + segmentation + `}]}`
	}
	const box = `{"label":"column","shape_type":"rectangle","points":[[5,0],[15,20]]}`
	for _, c := range []struct{ what, text, want string }{
		{"no JSON", "x", "no JSON object"},
		{"another JSON", `{"schema":"x"}`, "neither LabelMe's JSON (it has shapes) nor COCO's"},
		{"another size", labelMe(`"imageWidth":40,"imageHeight":80,`, box), "its region was drawn on 40x80 pixels (width x height) and the picture has 20x40: make the region anew"},
		{"a line", labelMe("", `{"label":"column","shape_type":"line","points":[[5,0],[15,20]]}`), "shape 1: only polygons, rectangles"},
		{"two corners", labelMe("", box+`,{"points":[[5,0],[15,20]]}`), "shape 2: polygon 1 has too few corners"},
		{"beside the picture", labelMe("", `{"points":[[50,0],[60,0],[60,10]]}`), "shape 1: polygon 1 encloses nothing"},
		{"no picture", `{"imagePath":"gone, F, 21 Yrs.png","shapes":[]}`, "none of the pictures that it draws on (1) is in the data set"},
		{"two pictures", `{"imagePath":"1.png","shapes":[]}`, "name it with its folder"},
		{"no shape", labelMe("", ""), "no shape is left"},
		{"half a corner", coco(`[[0,0,1,0,1]]`), "annotation 1: polygon 1 has an x without a y"},
		{"a mask of another size", coco(`{"size":[20,40],"counts":[800]}`), "annotation 1: its mask has 40x20 pixels (width x height) and its image 20x40"},
		{"a mask too short", coco(`{"size":[40,20],"counts":[1,2]}`), "covers 3 of 800 pixels"},
		{"an empty mask", coco(`{"size":[40,20],"counts":[800]}`), "its mask encloses nothing"},
		{"a string cut short", coco(`{"size":[40,20],"counts":"X"}`), "counts are cut short"},
		{"no segmentation", coco(`null`), "neither a list of polygons nor a mask"},
	} {
		_, err := regions.Import(save(t, "drawn.json", c.text), data, regions.Drawn, "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", c.what, err, c.want)
			continue
		}
		for _, name := range []string{"N25", "21_1_0", "21 Yrs"} {
			if strings.Contains(err.Error(), name) {
				t.Errorf("%s: the error repeats a name: %v", c.what, err)
			}
		}
	}
	if _, err := regions.Import(t.TempDir(), data, regions.Drawn, ""); err == nil || !strings.Contains(fmt.Sprint(err), "no .json file") {
		t.Errorf("an empty folder: %v", err)
	}
}
