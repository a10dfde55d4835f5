package savedmodel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spinebox/models/nets"
)

// TestDamagedIndex changes each byte of an index in turn. Whatever comes of it,
// nothing may panic, and what is refused is refused by name.
func TestDamagedIndex(t *testing.T) {
	dir := t.TempDir()
	e := Export{Architecture: nets.Tiny, Height: 32, Width: 32, Classes: 3, Weights: nets.Initial(nets.Tiny.Specs(3, false), 1)}
	if err := Write(dir, e); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "variables", "variables.index")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range raw {
		raw[i] ^= 0x55
		if err := os.WriteFile(name, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		raw[i] ^= 0x55
		if _, err := readBundle(bundlePrefix(dir)); err != nil {
			refused++
			if !strings.Contains(err.Error(), "variables.index is damaged") {
				t.Errorf("byte %d: %v", i, err)
			}
		}
	}
	t.Logf("%d of %d damaged bytes were noticed", refused, len(raw))
	if refused < len(raw)*3/4 {
		t.Errorf("only %d of %d damaged bytes were noticed", refused, len(raw))
	}
}
