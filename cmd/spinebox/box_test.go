package main

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spinebox/internal/livetest"
	"spinebox/internal/spine"
	"spinebox/sync/ledger"
)

// A share under another name is another share; what is left of the old one is
// forgotten, and copies that nobody will answer are not kept in silence.
func TestWhatIsLeftOfAShareThatIsGone(t *testing.T) {
	dir, log := t.TempDir(), &livetest.Log{}
	l, err := ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, source := range []string{"old", "scanner"} {
		sum := sha256.Sum256([]byte(source))
		img := &spine.Image{Digest: hex.EncodeToString(sum[:]), Attempt: 1, Decision: spine.Decision{Outcome: spine.Refused, Code: spine.NotXray}}
		seen := spine.Sighting{Source: source, Name: "a.dcm", Size: int64(i)}
		message := func(uint64) ([]byte, string, error) { return []byte("{}"), img.Digest, nil }
		if err := l.Commit(img, seen, message); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"spool/scanner", "spool/emptied", "spool/old"} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "spool/old/copy"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &box{config: &config{Data: dir, Shares: []shareConfig{{Name: "scanner"}}}, ledger: l, log: slog.New(slog.NewTextHandler(log, nil))}
	if err := b.forgetShares(); err != nil {
		t.Fatal(err)
	}
	if sources, err := l.Sources(); err != nil || !slices.Equal(sources, []string{"scanner"}) {
		t.Errorf("the ledger knows of %q (%v)", sources, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "spool/*"))
	if err != nil || len(left) != 2 {
		t.Errorf("the spool holds %q (%v)", left, err)
	}
	if text := log.String(); strings.Count(text, "configure it again") != 1 || !strings.Contains(text, "spool/old") {
		t.Errorf("the log says %s", text)
	}
}
