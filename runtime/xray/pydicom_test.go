package xray

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/runtime/decode"
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
	Lossy                                 bool
}

// lossyTolerance is how far, of 0 to 1, the grey of a picture may be from
// pydicom's where JPEG's cosine transform leaves decoders room (ITU-T T.83 asks
// for about one step in each coefficient): two steps of 255.
const lossyTolerance = 2.01 / 255

// gdcmconv is where Debian's libgdcm-tools has it.
const gdcmconv = "/usr/bin/gdcmconv"

// TestAgainstPydicom decodes every DICOM file of the packages pydicom and
// pydicom-data. Each must come out with pydicom's pixels, both as stored and
// after windowing, or be refused by name; and none may be refused that pydicom
// reads. What differs has a line in exceptions. With -update it writes the
// table of docs/dicom.md.
func TestAgainstPydicom(t *testing.T) {
	if _, err := os.Stat(gdcmconv); err != nil {
		skipOrFail(t, gdcmconv+" (libgdcm-tools)")
	}
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
	counts := map[string]int{}
	for _, ref := range index {
		outcome, how := compareWithPydicom(t, dir, ref)
		counts[outcome]++
		fmt.Fprintf(table, "| %s | %s | %s | %s |\n", ref.File, cmp.Or(ref.Syntax, "none"), outcome, how)
	}
	t.Logf("%d files: %v\n%s", len(index), counts, table)
	if counts["equal"] < 80 {
		t.Errorf("only %d files were compared", counts["equal"])
	}
	checkTable(t, fmt.Sprintf("%d files: %d equal, %d refused as unsupported, %d as corrupt.\n\n| file | transfer syntax | outcome | |\n|---|---|---|---|\n%s",
		len(index), counts["equal"], counts["unsupported"], counts["corrupt"], table))
}

var update = flag.Bool("update", false, "write the table of docs/dicom.md")

// checkTable compares the table in docs/dicom.md with the one measured.
func checkTable(t *testing.T, table string) {
	t.Helper()
	const path, mark = "../../docs/dicom.md", "<!-- The rest is written by: go test ./runtime/xray -run Pydicom -update -->\n"
	before, now, ok := strings.Cut(string(readFile(t, path)), mark)
	switch {
	case !ok:
		t.Errorf("%s has no line %q", path, mark)
	case *update:
		if err := os.WriteFile(path, []byte(before+mark+"\n"+table), 0o644); err != nil {
			t.Error(err)
		}
	case strings.TrimSpace(now) != strings.TrimSpace(table):
		t.Errorf("%s does not say what was measured: run go test ./runtime/xray -run Pydicom -update", path)
	}
}

// exceptions are files that pydicom reads and the box refuses, with the word
// that the refusal must have.
func exceptions() map[string]string {
	return map[string]string{
		"J2K_pixelrep_mismatch.dcm": "contradicts its description",
		"gdcm-US-ALOKA-16.dcm":      "segmented palette",
		"gdcm-US-ALOKA-16_big.dcm":  "segmented palette",
	}
}

func compareWithPydicom(t *testing.T, dir string, ref reference) (outcome, how string) {
	f, err := os.Open(ref.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	converter := decode.Converter{Program: gdcmconv, Memory: 512 << 20}
	g, err := Decoder{Limits: DefaultLimits(), Convert: converter.Convert}.Decode(f, info.Size())
	if err != nil {
		code := spine.CodeOf(err)
		if code != spine.Unsupported && code != spine.Corrupt {
			t.Errorf("%s: refused with %v", ref.File, err)
		}
		if word := exceptions()[filepath.Base(ref.File)]; ref.Why == "" && (word == "" || !strings.Contains(err.Error(), word)) {
			t.Errorf("%s: refused, but pydicom reads it: %v", ref.File, err)
		}
		return string(code), strings.TrimPrefix(err.Error(), string(code)+": ")
	}
	if filepath.Base(ref.File) == "JPEG-lossy.dcm" && ref.Why != "" {
		return "not compared", "pydicom's decoder gives it up"
	}
	if ref.Why != "" {
		t.Errorf("%s: decoded, but not by pydicom: %s", ref.File, ref.Why)
		return "decoded", ref.Why
	}
	p := g.Picture()
	if p.Width != ref.Width || p.Height != ref.Height {
		t.Errorf("%s: %dx%d, pydicom has %dx%d", ref.File, p.Width, p.Height, ref.Width, ref.Height)
		return "unequal", ""
	}
	tolerance, within := 1e-6, ""
	if ref.Lossy {
		tolerance, within = lossyTolerance, ", within 2 of 255"
	}
	grey := readFile(t, filepath.Join(dir, ref.Grey))
	worst := 0.0
	for i, v := range p.Pix {
		want := math.Float64frombits(binary.LittleEndian.Uint64(grey[8*i:]))
		worst = max(worst, math.Abs(float64(v)-want))
	}
	if !(worst < tolerance) {
		t.Errorf("%s: grey differs from pydicom's by %g", ref.File, worst)
		return "unequal", ""
	}
	if ref.Stored != "" && !ref.Lossy && !equalStored(g, readFile(t, filepath.Join(dir, ref.Stored))) {
		t.Errorf("%s: stored values differ from pydicom's", ref.File)
		return "unequal", ""
	}
	return "equal", fmt.Sprintf("%dx%d, %d bits%s", p.Width, p.Height, p.Facts.Bits, within)
}

// equalStored compares a grey picture's codes with pydicom's stored values,
// little-endian int32, by their used bits.
func equalStored(g *Grey, want []byte) bool {
	if len(want) != 4*len(g.Codes16) {
		return false
	}
	mask := uint32(1)<<g.Facts.Bits - 1
	for i, code := range g.Codes16 {
		if uint32(code) != binary.LittleEndian.Uint32(want[4*i:])&mask {
			return false
		}
	}
	return true
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
