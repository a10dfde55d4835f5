package decode

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/internal/spine"
	"spinebox/runtime/xray"
)

// pydicomPython returns the interpreter that has pydicom: the environment's, or
// that of scripts/python-env.
func pydicomPython(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	python := os.Getenv("SPINEBOX_PYTHON_DICOM")
	if python == "" {
		python = filepath.Join(cache, "spinebox", "python-dicom", "bin", "python")
	}
	if _, err := os.Stat(python); err != nil {
		skipOrFail(t, "pydicom (scripts/python-env dicom runtime/xray/testdata/pydicom-requirements.txt)")
	}
	return python
}

// pydicomFiles returns the DICOM files of the Python packages pydicom and
// pydicom-data.
func pydicomFiles(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command(pydicomPython(t), "-c", "import pydicom, data_store; print(pydicom.__path__[0], data_store.__path__[0], sep='\\n')").Output()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, folder := range strings.Fields(string(out)) {
		err := filepath.WalkDir(filepath.Join(folder, "data"), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && !slices.Contains([]string{".py", ".pyc", ".json", ".md"}, filepath.Ext(path)) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// skipOrFail skips the test for want of what, and fails it in CI, where
// everything has to be there.
func skipOrFail(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}

// TestPydicomConfined decodes all of pydicom's files in children: pixels, facts
// and refusals are those of decoding in the process itself, which
// TestAgainstPydicom of runtime/xray holds against pydicom.
func TestPydicomConfined(t *testing.T) {
	o := options(t)
	if _, err := os.Stat(o.Converter); err != nil {
		skipOrFail(t, o.Converter+" (libgdcm-tools)")
	}
	d := open(t, o)
	converter := Converter{Program: o.Converter, Memory: o.Memory}
	decoder := xray.Decoder{Limits: xray.DefaultLimits(), Convert: converter.Convert}
	pictures := 0
	for _, path := range pydicomFiles(t) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 2<<20 { // more of the same, and it takes longest
			f.Close()
			continue
		}
		grey, wantErr := decoder.Decode(f, info.Size())
		f.Close()
		got, err := d.Decode(t.Context(), path)
		switch {
		case wantErr != nil:
			if err == nil || err.Error() != wantErr.Error() || spine.CodeOf(err) != spine.CodeOf(wantErr) {
				t.Errorf("%s: %v; in the process itself: %v", filepath.Base(path), err, wantErr)
			}
		case err != nil:
			t.Errorf("%s: %v, but not in the process itself", filepath.Base(path), err)
		default:
			pictures++
			if want := grey.Picture(); got.Width != want.Width || got.Facts != want.Facts || !slices.Equal(got.Pix, want.Pix) {
				t.Errorf("%s: another picture, %+v", filepath.Base(path), got.Facts)
			}
		}
	}
	if pictures < 100 {
		t.Errorf("only %d pictures", pictures)
	}
}

// Without its converter a child refuses what it needs one for, by name.
func TestNoConverter(t *testing.T) {
	o := options(t)
	o.Converter = "/does/not/exist"
	d := open(t, o)
	if d.Converts() {
		t.Error("a child converts without a program")
	}
	for _, path := range pydicomFiles(t) {
		if filepath.Base(path) == "JPEG-LL.dcm" {
			_, err := d.Decode(t.Context(), path)
			if spine.CodeOf(err) != spine.Unsupported || !strings.Contains(err.Error(), "apt-get install libgdcm-tools") {
				t.Errorf("%v", err)
			}
		}
	}
}
