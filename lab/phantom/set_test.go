package phantom

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"spinebox/internal/spine"
)

func small(dir string, count int) Set {
	return Set{Dir: dir, Count: count, Seed: 2, Format: JPEG, Cobb: AnyCobb(), Slip: AnySlip(),
		Sizing: Sizing{Kind: FixedSize, Width: 80, Height: 200}, Workers: 3}
}

func write(t *testing.T, s Set) {
	t.Helper()
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// tree returns all files beneath a folder with their bytes.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSetHasTheArchivesLayout(t *testing.T) {
	s := small(t.TempDir(), 12)
	drawn := 0
	s.Drawn = func(*Phantom) { drawn++ }
	write(t, s)
	files := tree(t, s.Dir)
	if drawn != 12 || !strings.Contains(files["PHANTOM.txt"], "phantoms") {
		t.Errorf("%d drawn; notice %q", drawn, files["PHANTOM.txt"])
	}
	rows, err := csv.NewReader(strings.NewReader(files["manifest.csv"])).ReadAll()
	if err != nil || strings.Join(rows[0], ",") != "file,label,width,height,view,group,sha256" || len(rows) != 13 {
		t.Fatalf("manifest of %d rows, first %v: %v", len(rows), rows[0], err)
	}
	lines := strings.Split(strings.TrimSpace(files["truth.jsonl"]), "\n")
	kinds := map[string]int{}
	folders := map[spine.Label]string{spine.Normal: "NormalFinal/", spine.Scoliosis: "ScolFinal/", spine.Spondylolisthesis: "SpondFinal/"}
	for i, row := range rows[1:] {
		var truth Truth
		if err := json.Unmarshal([]byte(lines[i]), &truth); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(files[row[0]]))
		if truth.File != row[0] || row[6] != hex.EncodeToString(sum[:]) || row[2] != strconv.Itoa(truth.Width) ||
			string(truth.Label) != row[1] || string(truth.View) != row[4] || !truth.Phantom || truth.Index != i {
			t.Errorf("row %v, truth %+v", row, truth)
		}
		if !strings.HasPrefix(row[0], folders[truth.Label]+"phantom-") {
			t.Errorf("%s is kept as %s", truth.Label, row[0])
		}
		kinds[row[1]+" "+row[4]]++
		for _, name := range []string{truth.Region, truth.ColumnMask} {
			m, err := png.Decode(strings.NewReader(files[name]))
			if err != nil || m.Bounds().Dx() != truth.Width || m.Bounds().Dy() != truth.Height {
				t.Errorf("mask %q: %v", name, err)
			}
		}
		if (truth.Label == spine.Normal) != (truth.Region == truth.ColumnMask) {
			t.Errorf("%s: where to look is %s", truth.Label, truth.Region)
		}
	}
	if kinds["normal AP"] != 2 || kinds["normal lateral"] != 2 || kinds["scoliosis AP"] != 4 || kinds["spondylolisthesis lateral"] != 4 {
		t.Errorf("the set has %v", kinds)
	}
}

// Same seed, same bytes, whatever the number of workers; and a longer set
// begins with the shorter one.
func TestSetIsReproducible(t *testing.T) {
	one, two, longer := small(t.TempDir(), 6), small(t.TempDir(), 6), small(t.TempDir(), 9)
	one.Workers = 1
	write(t, one)
	write(t, two)
	write(t, longer)
	a, b, c := tree(t, one.Dir), tree(t, two.Dir), tree(t, longer.Dir)
	if len(a) != len(b) {
		t.Fatalf("%d files and %d", len(a), len(b))
	}
	for name, content := range a {
		if b[name] != content {
			t.Errorf("%s differs between one worker and three", name)
		}
		if strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".csv") {
			if !strings.HasPrefix(c[name], content) {
				t.Errorf("%s of a longer set does not begin with that of the shorter", name)
			}
		} else if c[name] != content {
			t.Errorf("%s differs in a longer set", name)
		}
	}
}

func TestSetNeverMixes(t *testing.T) {
	s := small(t.TempDir(), 6)
	write(t, s)
	if err := s.Write(t.Context()); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a second set goes into the first one's folder: %v", err)
	}
	s.Force, s.Count = true, 3
	write(t, s)
	if n := len(tree(t, s.Dir)); n != 3+3+2+3 {
		t.Errorf("a shorter set leaves %d files", n)
	}
	real := filepath.Join(s.Dir, "ScolFinal", "s001.jpg")
	if err := os.WriteFile(real, []byte("a patient"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context()); !errors.Is(err, ErrNotPhantoms) {
		t.Errorf("phantoms go beside a real picture: %v", err)
	}
	if b, err := os.ReadFile(real); err != nil || !bytes.Equal(b, []byte("a patient")) {
		t.Errorf("the real picture is gone: %v", err)
	}
	other := small(t.TempDir(), 3)
	other.Force = true
	if err := os.WriteFile(filepath.Join(other.Dir, "manifest.csv"), []byte("file,label\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := other.Write(t.Context()); !errors.Is(err, ErrNotPhantoms) {
		t.Errorf("somebody else's manifest is replaced: %v", err)
	}
}

func TestSetStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := small(t.TempDir(), 60)
	s.Drawn = func(*Phantom) { stop() }
	if err := s.Write(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled set ends with %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "manifest.csv")); err == nil {
		t.Error("an incomplete set has a manifest")
	}
}

func TestSetsThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*Set){
		"none":        func(s *Set) { s.Count = 0 },
		"format":      func(s *Set) { s.Format = "gif" },
		"jpeg as png": func(s *Set) { s.Format, s.Shortcut = PNG, JPEGShortcut },
		"fixed width": func(s *Set) { s.Shortcut = WidthShortcut },
		"sizes":       func(s *Set) { s.Sizing.Kind = "large" },
		"no size":     func(s *Set) { s.Sizing.Width = 0 },
		"cobb":        func(s *Set) { s.Cobb = Range{0, 5} },
		"slip":        func(s *Set) { s.Slip = Range{0, 5} },
	} {
		s := small(filepath.Join(t.TempDir(), "set"), 3)
		change(&s)
		if err := s.Write(t.Context()); err == nil {
			t.Errorf("%s: the set is written", name)
		}
		if _, err := os.Stat(s.Dir); err == nil {
			t.Errorf("%s: the folder is made nevertheless", name)
		}
	}
}

func TestSheetShowsEachPhantom(t *testing.T) {
	sheet := Sheet{Height: 60, Columns: 4, Outline: true}
	for _, s := range specs(2, nil) {
		sheet.Add(drawn(t, s))
	}
	b := sheet.Image().Bounds()
	if b.Dy() < 2*60 || b.Dx() < 4*20 {
		t.Errorf("a sheet of %v for 8 phantoms", b)
	}
}
