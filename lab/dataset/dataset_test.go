package dataset_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/lab/dataset"
)

// folder makes a data set's folder. To this package a picture is its bytes.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, files map[string]string) *dataset.Set {
	t.Helper()
	set, err := dataset.Read(folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestFoldersInAnyCase(t *testing.T) {
	set := read(t, map[string]string{
		"NormalFinal/N25,N,F,21_1_0.jpg": "a", "normal/b.PNG": "b", "SCOL/N100, Rt TAIS, F, 21 Yrs.jpg": "c",
		"ScoliosisFinal/d.tiff": "d", "spondfinal/N18, L4-5 Olisthesis ... .png": "e", "Spondylolisthesis/f.DCM": "f",
		"normal/notes.txt": "no picture", "Kyphosis/g.jpg": "no class", "manifest.csv": "",
	})
	want := map[spine.Label]int{spine.Normal: 2, spine.Scoliosis: 2, spine.Spondylolisthesis: 2}
	for label, n := range set.Count() {
		if n != want[label] {
			t.Errorf("%d of %s, want %d", n, label, want[label])
		}
	}
	if len(set.Items) != 6 {
		t.Errorf("%d pictures", len(set.Items))
	}
}

func TestNamesChangeNothing(t *testing.T) {
	a := read(t, map[string]string{"Normal/1.jpg": "x", "Normal/2.jpg": "y", "Scol/3.jpg": "z"})
	b := read(t, map[string]string{"NormalFinal/2.jpg": "x", "NormalFinal/1.jpg": "y", "ScolFinal/0.jpg": "z"})
	if a.Digest() != b.Digest() {
		t.Error("other names, another digest")
	}
	c := read(t, map[string]string{"Normal/1.jpg": "x", "Scol/2.jpg": "y", "Scol/3.jpg": "z"})
	if a.Digest() == c.Digest() {
		t.Error("another label, the same digest")
	}
}

// groups returns the group of each file by its content.
func groups(t *testing.T, dir string, set *dataset.Set) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, item := range set.Items {
		raw, err := os.ReadFile(item.Path)
		if err != nil {
			t.Fatal(err)
		}
		all[string(raw)] = item.Group
	}
	return all
}

func TestManifestGroups(t *testing.T) {
	// The manifest knows the folder as ScolFinal; this copy calls it scol.
	dir := folder(t, map[string]string{
		"scol/1.jpg": "one", "scol/2.jpg": "two", "scol/3.jpg": "three", "Normal/1.jpg": "four",
		"manifest.csv": "file,label,group\nScolFinal/1.jpg,scoliosis,7\nScolFinal/2.jpg,scoliosis,7\nScolFinal/3.jpg,scoliosis,\nNormalFinal/1.jpg,normal,\nNormalFinal/gone.jpg,normal,8\n",
	})
	set, err := dataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	g := groups(t, dir, set)
	if g["one"] != g["two"] || g["one"] == g["three"] || g["one"] == g["four"] || g["three"] == g["four"] {
		t.Errorf("groups %v", g)
	}
}

// TestSameBytesJoinGroups: a picture that was sent twice joins the groups of
// both files; otherwise one patient would stand on both sides of a split.
func TestSameBytesJoinGroups(t *testing.T) {
	const manifest = "file,group\nScol/a.jpg,1\nScol/b.jpg,2\nScol/c.jpg,1\nScol/d.jpg,2\n"
	set := read(t, map[string]string{
		"Scol/a.jpg": "twice", "Scol/b.jpg": "twice", "Scol/c.jpg": "one's other", "Scol/d.jpg": "two's other",
		"Scol/e.jpg": "alone", "Scol/f.jpg": "unnamed", "Scol/g.jpg": "unnamed", "manifest.csv": manifest,
	})
	count := map[string]int{}
	for _, item := range set.Items {
		count[item.Group]++
	}
	var sizes [5]int
	for _, n := range count {
		sizes[n]++
	}
	if sizes != [5]int{1: 1, 2: 1, 4: 1} {
		t.Errorf("groups of these sizes: %v", count)
	}
}

// TestReadRefuses also checks that no message repeats a file's name.
func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		what, want string
		files      map[string]string
	}{
		{"no class", "no folder NormalFinal, ScolFinal or SpondFinal", map[string]string{"Hands/Jane Doe.jpg": "a"}},
		{"no picture", "no folder NormalFinal", map[string]string{"Normal/Jane Doe.txt": "a"}},
		{"the same bytes under two labels", "in Normal is there in Scol too, under another label",
			map[string]string{"Normal/Jane Doe.jpg": "a", "Scol/Jane Doe.jpg": "a"}},
		{"a folder for a picture", "the picture in Normal: is a directory", map[string]string{"Normal/Jane Doe.jpg/x": "a"}},
		{"a broken manifest", "manifest.csv: ", map[string]string{"Normal/Jane Doe.jpg": "a", "manifest.csv": "file,group\n\"Jane Doe"}},
		{"a manifest of other pictures", "manifest.csv groups pictures, but none of them is here",
			map[string]string{"Normal/Jane Doe.jpg": "a", "manifest.csv": "file,group\nJane Doe.jpg,1\n"}},
	} {
		_, err := dataset.Read(folder(t, c.files))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", c.what, err, c.want)
		} else if strings.Contains(err.Error(), "Doe") {
			t.Errorf("%s: the error names a person: %v", c.what, err)
		}
	}
	if _, err := dataset.Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder at all: %v", err)
	}
}

func TestDecode(t *testing.T) {
	set := read(t, map[string]string{"Normal/1.jpg": "a", "Normal/2.jpg": "b", "Scol/3.jpg": "c", "Spond/Jane Doe.jpg": "d"})
	done := 0
	got, err := dataset.Decode(set, 3, func(i dataset.Item) (string, error) { return i.SHA256, nil }, func() { done++ })
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range set.Items {
		if got[i] != item.SHA256 {
			t.Errorf("item %d is decoded as another", i)
		}
	}
	if done != 4 {
		t.Errorf("%d are done", done)
	}
	_, err = dataset.Decode(set, 3, func(i dataset.Item) (string, error) {
		_, err := os.Open(i.Path + ".gone")
		return "", err
	}, func() {})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	if s := err.Error(); strings.Contains(s, ".jpg") || !strings.Contains(s, "picture ") {
		t.Errorf("error %v names a file, or no picture", err)
	}
}
