package report_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/look"
	"spinebox/lab/release"
	"spinebox/lab/report"
	"spinebox/lab/study"
	"spinebox/lab/train"
	"spinebox/models/description"
	"spinebox/models/nets"
)

// A study of 30 pictures in five folds, worked by hand: picture i lies in fold
// i/6 and is of class i%3.
const pictures, inFold = 30, 6

// planted stands where a careless program could find it.
const planted = "Planted Lopez, F, 43 Yrs"

func sha(i int) string {
	sum := sha256.Sum256([]byte{byte(i)})
	return hex.EncodeToString(sum[:])
}

// variant of the made study.
type variant struct {
	network         nets.Architecture
	method          train.Method
	wrong           []int      // pictures; the answer is the next class
	lift            [2]float64 // of pictures with even and odd numbers
	border, padding float64
}

func (v variant) name() string { return fmt.Sprintf("%s-%s", v.network, v.method) }

// accurate looks elsewhere: the paper's random VGG16.
func accurate() variant {
	return variant{nets.VGG16, train.Random, []int{0, 7}, [2]float64{0.5, 0.7}, 0.6, 0.05}
}

func trusted() variant {
	return variant{nets.ResNet50, train.Finetune, []int{7, 14, 21}, [2]float64{1.9, 2.1}, 0.1, 0.02}
}

func (v variant) answer(i int) int {
	for _, w := range v.wrong {
		if w == i {
			return (i + 1) % 3
		}
	}
	return i % 3
}

func save(t *testing.T, name string, content any) {
	t.Helper()
	raw, ok := content.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// made writes the folder of the runs.
func made(t *testing.T, variants ...variant) string {
	t.Helper()
	dir := t.TempDir()
	splits := study.Splits{Digest: "folds", Data: "data", Seed: 1, Folds: 5}
	for i := range pictures {
		splits.Items = append(splits.Items, study.Split{SHA256: sha(i), Label: spine.Labels()[i%3], Group: i, Fold: i / inFold})
	}
	save(t, filepath.Join(dir, "splits.json"), splits)
	for _, v := range variants {
		for fold := range 5 {
			v.fold(t, filepath.Join(dir, v.name(), fmt.Sprintf("fold%d", fold)), fold)
		}
	}
	return dir
}

// fold writes the small files of a fold.
func (v variant) fold(t *testing.T, dir string, fold int) {
	t.Helper()
	c := train.Default()
	c.Network, c.Method, c.Fold = v.network, v.method, fold
	done := train.Result{
		Model: "/data/" + planted + "/model", Digest: "model", Labels: spine.Labels(), BestEpoch: 2 + fold%2, Temperature: 1.5,
		Confusion: [][]int{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}, Seconds: 60,
		Thresholds: description.Thresholds{Confidence: 0.4 + 0.01*float64(fold), Outside: 0.5},
	}
	if v.method != train.Random {
		c.Backbone = fmt.Sprintf("backbone of fold %d", fold)
		done.Backbone = &description.Backbone{Digest: c.Backbone, Origin: "made shapes", StandIn: true}
	}
	predictions := []string{"sha256,label,answer,p_normal,p_scoliosis,p_spondylolisthesis"}
	for i := fold * inFold; i < (fold+1)*inFold; i++ {
		answer := v.answer(i)
		done.Confusion[i%3][answer]++
		p := [3]float64{0.1, 0.1, 0.1}
		p[answer] = 0.8
		predictions = append(predictions, fmt.Sprintf("%s,%s,%s,%.6f,%.6f,%.6f", sha(i), spine.Labels()[i%3], spine.Labels()[answer], p[0], p[1], p[2]))
	}
	save(t, filepath.Join(dir, "config.json"), c)
	save(t, filepath.Join(dir, "done.json"), done)
	save(t, filepath.Join(dir, "predictions.csv"), lines(predictions))
	save(t, filepath.Join(dir, "history.csv"), lines([]string{"epoch,rate,loss,validation_loss,validation_accuracy,seed",
		"1,0.001,1.1,1.2,0.4,1", "1,0.001,1.0,0.9,0.5,2", "2,0.0005,0.6,0.5,0.8,2", "3,0.0001,0.4,0.45,0.9,2"}))
	v.look(t, dir, fold)
}

// look writes what was measured of the fold's heatmaps.
func (v variant) look(t *testing.T, dir string, fold int) {
	t.Helper()
	maps := []string{"sha256,label,answer,empty,border,padding,marker,region,area,energy,lift,hit,iou,auprc,insertion,deletion,drop,increase"}
	floors := []string{"floor,sha256,border,padding,marker,area,energy,lift,hit,iou,auprc"}
	for i := fold * inFold; i < (fold+1)*inFold; i++ {
		lift := v.lift[i%2]
		maps = append(maps, fmt.Sprintf("%s,%s,%s,false,%.6f,%.6f,,weak,0.250000,%.6f,%.6f,1.000000,0.300000,0.400000,,,,",
			sha(i), spine.Labels()[i%3], spine.Labels()[v.answer(i)], v.border, v.padding, lift/4, lift))
		floors = append(floors, fmt.Sprintf("uniform,%s,0.360000,0.100000,,0.250000,0.250000,1.000000,0.250000,0.250000,0.250000", sha(i)),
			fmt.Sprintf("centred,%s,0.080000,0.000000,,0.250000,0.400000,1.600000,1.000000,0.300000,0.350000", sha(i)))
	}
	sanity := []string{"step,layer,ssim,spearman", "1,predictions,0.900000,0.800000", "2,block5_conv3,0.300000,0.200000"}
	probe := []string{"picture"}
	for y := range look.ProbeSide {
		for x := range look.ProbeSide {
			probe[0] += fmt.Sprintf(",r%dc%d", y, x)
		}
	}
	for p := range 2 {
		line := fmt.Sprint(p)
		for k := range look.ProbeSide * look.ProbeSide {
			line += fmt.Sprintf(",%.6f", float64((k*(p+1)+fold)%17)/17)
		}
		probe = append(probe, line)
	}
	judged := look.Judged{Model: "model", Held: "held", Seed: 1, Files: map[string]string{}}
	for name, content := range map[string][]string{"heatmaps.csv": maps, "floors.csv": floors, "sanity.csv": sanity, "probe.csv": probe} {
		raw := lines(content)
		sum := sha256.Sum256(raw)
		judged.Files[name] = hex.EncodeToString(sum[:])
		save(t, filepath.Join(dir, name), raw)
	}
	save(t, filepath.Join(dir, "judged.json"), judged)
}

func lines(s []string) []byte { return []byte(strings.Join(s, "\n") + "\n") }

// overlays puts a picture for each held-out one into a fold's folder.
func overlays(t *testing.T, runs string, v variant, fold int) {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 600, 400))
	for i := range img.Pix {
		img.Pix[i] = uint8(i % 251)
	}
	img.SetNRGBA(3, 3, color.NRGBA{255, 0, 0, 255})
	for i := fold * inFold; i < (fold+1)*inFold; i++ {
		name := look.Overlay(filepath.Join(runs, v.name(), fmt.Sprintf("fold%d", fold)), sha(i))
		save(t, name, []byte{})
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// gate is one that 27 of 30 clear.
func gate() release.Thresholds {
	g := release.Default()
	g.Accuracy = 0.70
	return g
}

func read(t *testing.T, runs string) *report.Report {
	t.Helper()
	all, err := report.Read(runs)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Make(all, report.Options{Gate: gate()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
