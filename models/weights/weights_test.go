package weights_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"spinebox/models/nets"
	"spinebox/models/weights"
)

func made(t *testing.T) (*weights.File, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tiny.safetensors")
	f := &weights.File{Architecture: nets.Tiny, Origin: "made textures", StandIn: true,
		Weights: weights.Backbone(nets.Initial(nets.Tiny.Specs(3, false), 1))}
	if err := f.Write(name); err != nil {
		t.Fatal(err)
	}
	return f, name
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	want, name := made(t)
	got, err := weights.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := os.Stat(name + ".part"); err == nil {
		t.Error("half of a file was left")
	}
}

func TestWhatCannotBeWrittenLeavesNothing(t *testing.T) {
	f, _ := made(t)
	name := t.TempDir() // a folder stands where the file should
	if err := f.Write(name); err == nil || !strings.Contains(err.Error(), "write weights "+name) {
		t.Errorf("written over a folder: %v", err)
	}
	if _, err := os.Stat(name + ".part"); err == nil {
		t.Error("half of a file was left")
	}
}

// The format's own rules: header length, JSON padded with blanks, offsets from
// the end of the header without gaps.
func TestLayout(t *testing.T) {
	f, name := made(t)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(raw)
	if (8+n)%8 != 0 || raw[8] != '{' {
		t.Errorf("header of %d bytes, first %q", n, raw[8])
	}
	values := int64(0)
	for _, s := range weights.Specs(nets.Tiny) {
		values += s.Size()
	}
	if got := int64(len(raw)) - 8 - int64(n); got != 4*values {
		t.Errorf("%d bytes of values, want %d", got, 4*values)
	}
	first := weights.Specs(nets.Tiny)[0]
	var v float32
	if err := binary.Read(bytes.NewReader(raw[8+n:]), binary.LittleEndian, &v); err != nil || v != f.Weights[first.Name][0] {
		t.Errorf("the first value is %v (%v), want %v", v, err, f.Weights[first.Name][0])
	}
}

func TestWhatIsWrongIsRefused(t *testing.T) {
	_, name := made(t)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		if len(old) != len(new) || !bytes.Contains(good, []byte(old)) {
			t.Fatalf("%q cannot stand for %q", new, old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	for want, raw := range map[string][]byte{
		"too short":                      good[:4],
		"no safetensors file":            []byte("\x89HDF\r\n\x1a\n and the rest of another format"),
		"cut short or damaged":           good[:len(good)-8],
		"unknown network":                replace(`"tiny"`, `"tine"`),
		"which a tiny does not":          replace(`conv1_conv/kernel`, `conv9_conv/kernel`),
		"not F32":                        replace(`"F32"`, `"I32"`),
		"says nothing of an":             replace(`__metadata__`, `__netadata__`),
		"it holds a value that is no nu": append(bytes.Clone(good[:len(good)-4]), 0, 0, 0xc0, 0x7f),
	} {
		bad := filepath.Join(t.TempDir(), "bad.safetensors")
		if err := os.WriteFile(bad, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := weights.Read(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
