package harmonize_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/audit"
	"spinebox/lab/dataset"
	"spinebox/lab/harmonize"
)

func look(t *testing.T, dir string) (*dataset.Set, *audit.Audit) {
	t.Helper()
	set, err := dataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := audit.Look(context.Background(), set, audit.Options{Cores: 2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return set, a
}

// made is a set of noise whose classes differ in width, exposure and encoder,
// with two pictures of each patient.
func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(5, 6))
	manifest := "file,group\n"
	for k, folder := range []string{"NormalFinal", "ScolFinal", "SpondFinal"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			p := image.NewGray(image.Rect(0, 0, 40+30*k+random.IntN(20), 80+random.IntN(60)))
			for j := range p.Pix {
				p.Pix[j] = uint8(20*k + random.IntN(150))
			}
			var file bytes.Buffer
			if err := jpeg.Encode(&file, p, &jpeg.Options{Quality: 60 + 10*k}); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s/%d.jpg", folder, i)
			if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			manifest += fmt.Sprintf("%s,Jane Doe %d-%d\n", name, k, i/2)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.csv"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNothingOfTheFileTellsTheClass(t *testing.T) {
	from := made(t)
	set, before := look(t, from)
	to := filepath.Join(t.TempDir(), "even")
	o := harmonize.Options{Height: 256, Width: 112, Quality: 80, Cores: 2}
	if err := harmonize.Write(context.Background(), set, to, o); err != nil {
		t.Fatal(err)
	}
	copies, after := look(t, to)
	if before.Floors[0].Accuracy < 0.95 || before.Kind.Accuracy < 0.95 {
		t.Fatalf("the made set's files tell %.2f of the classes: there is nothing to take away", before.Floors[0].Accuracy)
	}
	for label, size := range after.Sizes {
		if size.Width != [3]int{112, 112, 112} || size.Height != [3]int{256, 256, 256} {
			t.Errorf("%s: %+v", label, size)
		}
	}
	if len(after.Quantisers) != 1 || len(after.Cameras) != 0 {
		t.Errorf("encoders %v, cameras %v", after.Quantisers, after.Cameras)
	}
	if after.Kind.Interval.Low > 1./3 {
		t.Errorf("the kind of file tells %.2f of the classes", after.Kind.Accuracy)
	}
	if before.Groups != 30 || after.Groups != 30 {
		t.Errorf("%d patients, and %d on the copies", before.Groups, after.Groups)
	}
	for _, label := range spine.Labels() {
		if set.Count()[label] != copies.Count()[label] {
			t.Errorf("%s: %d pictures, %d copies", label, set.Count()[label], copies.Count()[label])
		}
	}
	list, err := os.ReadFile(filepath.Join(to, "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(list), "Doe") {
		t.Error("a patient's name is in the list")
	}
	if err := harmonize.Write(context.Background(), set, to, o); err == nil || !strings.Contains(err.Error(), "new one") {
		t.Errorf("over a set that is there: %v", err)
	}
}

// A set is copied whole or not at all.
func TestNothingIsLeftOfAHalf(t *testing.T) {
	from := made(t)
	grey := image.NewGray(image.Rect(0, 0, 50, 90))
	var blank bytes.Buffer
	if err := jpeg.Encode(&blank, grey, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "ScolFinal", "blank.jpg"), blank.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for name, ctx := range map[string]context.Context{"all of one grey": context.Background(), "context canceled": stopped} {
		dir := t.TempDir()
		err := harmonize.Write(ctx, set, filepath.Join(dir, "even"), harmonize.Options{Height: 64, Width: 32, Quality: 85})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	set, _ := look(t, made(t))
	for name, o := range map[string]harmonize.Options{
		"quality": {Height: 64, Width: 64, Quality: 0, Cores: 1},
		"size":    {Height: 64, Width: 5000, Quality: 85, Cores: 1},
	} {
		to := filepath.Join(t.TempDir(), "even")
		if err := harmonize.Write(context.Background(), set, to, o); err == nil {
			t.Errorf("%s: %+v is taken", name, o)
		}
		if _, err := os.Stat(to); err == nil {
			t.Errorf("%s: a folder is made all the same", name)
		}
	}
}
