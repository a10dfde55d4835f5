package look

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/lab/dataset"
	"spinebox/lab/phantom"
	"spinebox/lab/regions"
	"spinebox/models/input"
	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/models/savedmodel"
)

// brightest writes a VGG16 that looks at what is brighter than any bone, and
// nowhere else: of each layer one channel passes on what the first one finds.
func brightest(t *testing.T, side int) string {
	t.Helper()
	weights := nets.Weights{}
	for _, s := range nets.VGG16.Specs(3, false) {
		weights[s.Name] = make([]float32, s.Size())
		if strings.HasSuffix(s.Name, "/kernel") && strings.HasPrefix(s.Name, "block") {
			in, out := int(s.Shape[2]), int(s.Shape[3])
			weights[s.Name][(4*in)*out] = 1 // the kernel's centre, from channel 0 to channel 0
		}
	}
	const threshold = 0.95 * 255
	weights["block1_conv1/bias"][0] = 103.939 - threshold // channel 0 is blue, less its mean
	weights["predictions/kernel"][2] = 1                  // its answer is always the third class
	dir := t.TempDir()
	err := savedmodel.Write(dir, savedmodel.Export{Architecture: nets.VGG16, Height: int64(side), Width: int64(side), Classes: 3, Weights: weights})
	if err != nil {
		t.Fatal(err)
	}
	d := modeltest.Description()
	d.Architecture, d.ExplainLayer = string(nets.VGG16), nets.VGG16.ExplainLayer()
	d.Input = input.Spec{Width: side, Height: side, Resize: input.Letterbox, Grey: input.FullRange}
	if err := d.Seal(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// planted draws phantoms that are nowhere white, but for a square that is
// stamped into a corner of each, and a file that says where it lies.
func planted(t *testing.T, side int) (*dataset.Set, *regions.Set) {
	t.Helper()
	dir, corner := t.TempDir(), side/16
	const size = 10
	for i := range 6 {
		draw := phantom.Set{Seed: 2, Sizing: phantom.Sizing{Kind: phantom.FixedSize, Width: side, Height: side}, Cobb: phantom.AnyCobb(), Slip: phantom.AnySlip()}
		p, err := phantom.Draw(draw.Spec(i))
		if err != nil {
			t.Fatal(err)
		}
		for y := range side {
			for x := range side {
				v := &p.Picture.Pix[y*side+x]
				*v *= 0.8
				if x >= corner && x < corner+size && y >= corner && y < corner+size {
					*v = 1
				}
			}
		}
		name := filepath.Join(dir, []string{"Normal", "Scol", "Spond"}[i%3], fmt.Sprint(i, ".png"))
		var b bytes.Buffer
		err = errors.Join(p.Encode(&b, phantom.PNG), os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, b.Bytes(), 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	set, err := dataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	square := func(x0, y0, x1, y1 int) [][2]int { return [][2]int{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}} }
	type entry struct {
		SHA256   string     `json:"sha256"`
		Kind     string     `json:"kind"`
		Width    int        `json:"width"`
		Height   int        `json:"height"`
		Polygons [][][2]int `json:"polygons"`
		Marker   [][][2]int `json:"marker"`
	}
	var pictures []entry
	for _, item := range set.Items {
		pictures = append(pictures, entry{item.SHA256, "drawn", side, side,
			[][][2]int{square(side/3, 0, 2*side/3, side)}, [][][2]int{square(corner, corner, corner+size, corner+size)}})
	}
	raw, err := json.Marshal(map[string]any{"schema": "spinebox.regions.v1", "coordinates": "pixels", "pictures": pictures})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "regions.json")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	known, err := regions.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return set, known
}

// A network that reads planted markers is caught: its maps lie on them, in the
// border and beside the spine.
func TestNetworkThatLooksAtMarkers(t *testing.T) {
	const side = 96
	set, known := planted(t, side)
	o := Options{Dir: t.TempDir(), Model: brightest(t, side), Held: set, Regions: known, Threads: 1, Faithful: 1, Probe: 1}
	if err := o.clear(); err != nil {
		t.Fatal(err)
	}
	j, err := o.judge()
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	maps, floors, err := j.heldOut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The maps are honest about it: without the marker the answer falls to a
	// third, which the other classes never exceed.
	if f := maps[0].Figures; !(f[Insertion] > f[Deletion] && f[Deletion] > 1./3 && f[Insertion] < 1) {
		t.Errorf("insertion %g, deletion %g", f[Insertion], f[Deletion])
	}
	all := Summarise([]*Rows{{Maps: maps, Floors: floors}}, 1).All
	marker, chance := all.Figures[Marker], all.Floors[Uniform][Marker]
	if all.Empty > 0 || marker.N != 6 || marker.Mean < 5*chance.Mean {
		t.Errorf("share on markers: %+v, of an even map %+v (%d maps are empty)", marker, chance, all.Empty)
	}
	if lift := all.Figures[Lift]; lift.N != 6 || lift.Interval.High > 0.5 {
		t.Errorf("lift: %+v %+v", lift, lift.Interval)
	}
	if border := all.Figures[Border]; border.Mean < 0.6 {
		t.Errorf("border: %+v", border)
	}
}
