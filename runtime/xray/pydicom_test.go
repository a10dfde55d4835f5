package xray

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"spinebox/internal/spine"
)

// skipOrFail skips the test for want of what, and fails it in CI, where
// everything has to be there.
func skipOrFail(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}

// pydicomPython returns the interpreter that has pydicom: the environment's, or
// that of scripts/python-env.
func pydicomPython(t *testing.T) string {
	t.Helper()
	python := os.Getenv("SPINEBOX_PYTHON_DICOM")
	if python == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				t.Fatal(err)
			}
			cache = filepath.Join(home, ".cache")
		}
		python = filepath.Join(cache, "spinebox", "python-dicom", "bin", "python")
	}
	if _, err := os.Stat(python); err != nil {
		skipOrFail(t, "pydicom (scripts/python-env dicom runtime/xray/testdata/pydicom-requirements.txt)")
	}
	return python
}

// reference is what pydicom made of one file; see testdata/pydicom_reference.py.
type reference struct {
	File, Path, Syntax, Stored, Grey, Why string
	Width, Height                         int
}

// TestAgainstPydicom decodes every DICOM file of the packages pydicom and
// pydicom-data. Each must come out with pydicom's pixels, both as stored and
// after windowing, or be refused by name; and none may be refused that is an
// uncompressed picture of the kinds that the box reads.
func TestAgainstPydicom(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(pydicomPython(t), "testdata/pydicom_reference.py", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index []reference
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	table := &strings.Builder{}
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	counts := map[string]int{}
	for _, ref := range index {
		outcome, how := compareWithPydicom(t, dir, ref)
		counts[outcome]++
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", ref.File, ref.Syntax, outcome, how)
	}
	w.Flush()
	t.Logf("%d files: %v\n%s", len(index), counts, table)
	if counts["equal"] < 80 {
		t.Errorf("only %d files were compared", counts["equal"])
	}
}

func compareWithPydicom(t *testing.T, dir string, ref reference) (outcome, how string) {
	p, err := Decode(ref.Path, DefaultLimits())
	if err != nil {
		code := spine.CodeOf(err)
		if code != spine.Unsupported && code != spine.Corrupt {
			t.Errorf("%s: refused with %v", ref.File, err)
		}
		if ref.Why == "" {
			t.Errorf("%s: refused, but pydicom reads it: %v", ref.File, err)
		}
		return string(code), strings.TrimPrefix(err.Error(), string(code)+": ")
	}
	if ref.Why != "" {
		t.Errorf("%s: decoded, but not by pydicom: %s", ref.File, ref.Why)
		return "decoded", ref.Why
	}
	if p.Width != ref.Width || p.Height != ref.Height {
		t.Errorf("%s: %dx%d, pydicom has %dx%d", ref.File, p.Width, p.Height, ref.Width, ref.Height)
		return "unequal", ""
	}
	grey := readFile(t, filepath.Join(dir, ref.Grey))
	worst := 0.0
	for i, v := range p.Pix {
		want := math.Float64frombits(binary.LittleEndian.Uint64(grey[8*i:]))
		worst = max(worst, math.Abs(float64(v)-want))
	}
	if !(worst < 1e-6) {
		t.Errorf("%s: grey differs from pydicom's by %g", ref.File, worst)
		return "unequal", ""
	}
	if ref.Stored != "" && !equalStored(t, ref.Path, readFile(t, filepath.Join(dir, ref.Stored))) {
		t.Errorf("%s: stored values differ from pydicom's", ref.File)
		return "unequal", ""
	}
	return "equal", fmt.Sprintf("%dx%d, %d bits", p.Width, p.Height, p.Facts.Bits)
}

// equalStored reads the stored values of a grey DICOM file and compares them
// with little-endian int32.
func equalStored(t *testing.T, path string, want []byte) bool {
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
	s := newSource(f, info.Size())
	syntax, off, err := openDICOM(s)
	if err != nil {
		t.Fatal(err)
	}
	d, err := readDataset(s, off, syntax.coding)
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.readLayout()
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.greyScale(l)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := l.codes(s.r)
	if err != nil {
		t.Fatal(err)
	}
	equal := len(want) == 4*len(codes)
	for i := 0; equal && i < len(codes); i++ {
		equal = int(int32(binary.LittleEndian.Uint32(want[4*i:]))) == g.stored(int(codes[i]))
	}
	return equal
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
