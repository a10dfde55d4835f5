package hdf5

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/models/modeltest"
)

// made lets h5py write the files of testdata/legacy.py.
func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command(modeltest.KerasPython(t), "testdata/legacy.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

func open(t *testing.T, name string) *Object {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func words(t *testing.T, o *Object, attribute string) string {
	t.Helper()
	all, ok, err := o.Strings(attribute)
	if err != nil || !ok {
		t.Errorf("%s of %s: %v, %v", attribute, o, ok, err)
	}
	return strings.Join(all, "|")
}

// wave are the script's values.
func wave(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i)/4 - 3
	}
	return v
}

func TestLegacy(t *testing.T) {
	t.Run("stored", func(t *testing.T) { testLegacy(t, "testdata/legacy.h5") })
	t.Run("by this h5py", func(t *testing.T) { testLegacy(t, filepath.Join(made(t), "legacy.h5")) })
}

func testLegacy(t *testing.T, name string) {
	root := open(t, name)
	for _, attribute := range []string{"layer_names", "fixed"} {
		if got := words(t, root, attribute); got != "one|two|three and more" {
			t.Errorf("%s: %q", attribute, got)
		}
	}
	for path, shape := range map[string][]int64{
		"one/one/kernel:0": {3, 2, 4, 5}, "one/one/bias:0": {5}, "two/chunked": {5, 7}, "two/rows": {9}, "two/box": {3, 4, 5},
	} {
		o, err := root.Get(path)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := o.Shape()
		if err != nil || !slices.Equal(got, shape) {
			t.Errorf("%s has the shape %v (%v), want %v", path, got, err, shape)
		}
		n := 1
		for _, d := range shape {
			n *= int(d)
		}
		if values, err := o.Floats(); err != nil || !slices.Equal(values, wave(n)) {
			t.Errorf("%s: %v, %v", path, values, err)
		}
	}
	two, err := root.Get("two")
	if err != nil {
		t.Fatal(err)
	}
	if got := words(t, two, "words"); got != "Å||of any length" {
		t.Errorf("strings of any length: %q", got)
	}
	if got := words(t, two, "single") + words(t, two, "weight_names"); got != "a string" {
		t.Errorf("a single string and an empty list: %q", got)
	}
	if got := words(t, two, "filler11"); got != strings.Repeat("|"+strings.Repeat("x", 30), 3)[1:] {
		t.Errorf("an attribute far behind: %q", got)
	}
	if _, ok, err := two.Strings("none"); ok || err != nil {
		t.Errorf("an attribute that is not there: %v, %v", ok, err)
	}
	for i := range 25 {
		o, err := root.Get(fmt.Sprintf("many/member%02d", i))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := o.Floats(); err != nil || v[0] != float32(i)-3 {
			t.Errorf("member %d: %v, %v", i, v, err)
		}
	}
	if there, err := root.Has("three"); there || err != nil {
		t.Errorf("a group that is not there: %v, %v", there, err)
	}
}

func TestWhatIsNotReadIsRefused(t *testing.T) {
	dir := made(t)
	root := open(t, filepath.Join(dir, "refused.h5"))
	for path, want := range map[string]string{
		"gzip": "compressed", "half": "not little-endian float32", "double": "not little-endian float32",
		"big endian": "not little-endian float32", "integers": "not little-endian float32", "unwritten": "never written",
		"part": "not all of its values", "empty": "holds nothing", "link": "points beyond", "nothing": "nothing is missing",
		"half/x": "it is no group", "ordered/x": "of a newer kind",
	} {
		o, err := root.Get(path)
		if err == nil {
			_, err = o.Floats()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", path, err, want)
		}
	}
	if _, _, err := root.Strings("numbers"); err == nil || !strings.Contains(err.Error(), "not of strings") {
		t.Errorf("an attribute of numbers: %v", err)
	}
	growing, err := root.Get("growing") // one that may grow is chunked, and no other
	if err != nil {
		t.Fatal(err)
	}
	if v, err := growing.Floats(); err != nil || !slices.Equal(v, wave(9)) {
		t.Errorf("growing: %v, %v", v, err)
	}
	for name, want := range map[string]string{"latest": "superblock has version", "block": "it is no HDF5 file"} {
		raw, err := os.ReadFile(filepath.Join(dir, name+".h5"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(bytes.NewReader(raw), int64(len(raw))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", name, err, want)
		}
	}
}

// fenced fails when somebody reads beyond its end.
type fenced struct {
	t   testing.TB
	raw []byte
}

func (f fenced) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(b)) > int64(len(f.raw)) {
		f.t.Errorf("%d bytes are read at %d, of %d", len(b), at, len(f.raw))
		return 0, io.EOF
	}
	return copy(b, f.raw[at:]), nil
}

// explore reads all that can be read, and returns what went wrong first.
func explore(t testing.TB, raw []byte) error {
	f, err := Open(fenced{t, raw}, int64(len(raw)))
	if err != nil {
		return err
	}
	root, err := f.Root()
	if err != nil {
		return err
	}
	return all(root, 4)
}

func all(o *Object, depth int) (first error) {
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	for _, attribute := range []string{"layer_names", "weight_names", "filler3", "words"} {
		_, _, err := o.Strings(attribute)
		note(err)
	}
	if _, data, _ := o.find(kindDataspace); data {
		_, err := o.Floats()
		note(err)
		return first
	}
	if err := o.list(); err != nil || depth == 0 {
		note(err)
		return first
	}
	for _, name := range slices.Sorted(maps.Keys(o.links)) {
		member, err := o.Get(name)
		if err != nil {
			note(err)
			continue
		}
		note(all(member, depth-1))
	}
	return first
}

// Whatever is cut off or changed in a file, nothing panics, nothing outside it
// is read, and what has been cut is noticed.
func TestDamage(t *testing.T) {
	good, err := os.ReadFile("testdata/legacy.h5")
	if err != nil {
		t.Fatal(err)
	}
	if err := explore(t, good); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(good); n += 7 {
		if explore(t, good[:n]) == nil {
			t.Errorf("of %d bytes %d are enough", len(good), n)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	noticed := 0
	const mutations = 4000
	for range mutations {
		bad := bytes.Clone(good)
		for range 1 + random.IntN(4) {
			at := random.IntN(len(bad))
			switch random.IntN(3) {
			case 0:
				bad[at] = byte(random.Uint32())
			case 1:
				bad[at] ^= 1 << random.IntN(8)
			default: // a length or an address as large as can be
				copy(bad[at:], "\xff\xff\xff\xff\xff\xff\xff\x7f"[random.IntN(8):])
			}
		}
		if explore(t, bad) != nil {
			noticed++
		}
	}
	t.Logf("%d of %d mutations were noticed", noticed, mutations)
	if noticed < mutations/10 {
		t.Errorf("only %d of %d mutations were noticed", noticed, mutations)
	}
}

func FuzzRead(f *testing.F) {
	good, err := os.ReadFile("testdata/legacy.h5")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, raw []byte) { _ = explore(t, raw) })
}
