package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"spinebox/internal/spine"
)

// A backup holds one moment, although commits go on, and nothing of it is
// missing where it is restored.
func TestBackupAndRestore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	l := open(t, dir, Options{})
	const images = 60
	for n := range images {
		commit(t, l, image(fmt.Sprint(n)))
	}
	if _, err := l.Delivered(resultID(image("0"))); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	started, done := make(chan struct{}), make(chan error)
	go func() { // beside it
		close(started)
		for n := range 20 {
			img := image(fmt.Sprint("later", n))
			if err := l.Commit(img, sighting(img), message(img)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	<-started
	if err := l.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, _, err := Restore(bytes.NewReader(backup.Bytes()), dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrInUse) {
		t.Errorf("restored under an open ledger: %v", err)
	}
	for n := range images { // after the backup, all is delivered
		if _, err := l.Delivered(resultID(image(fmt.Sprint(n)))); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()

	head, former, err := Restore(bytes.NewReader(backup.Bytes()), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if head.Images < images || head.Outbox < images-1 {
		t.Errorf("the backup says %+v", head)
	}
	l = open(t, dir, Options{})
	waiting := map[string]bool{}
	for _, id := range pending(t, l) { // also checks the outbox's count
		waiting[id] = true
	}
	for n := range images {
		img, err := l.Image(hash(fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		if want := n > 0; waiting[fmt.Sprint(img.Sequence, " ", resultID(img))] != want {
			t.Errorf("image %d waits: %t, want %t", n, !want, want)
		}
		if seen, ok, err := l.Sighting("room", img.Name); !ok || err != nil || seen.Digest != img.Digest {
			t.Errorf("image %d has the sighting %v, %v", n, seen, err)
		}
	}
	if n := l.Counters().Classified; n < images || n != uint64(l.Last()) {
		t.Errorf("%d classified, the last is %d", n, l.Last())
	}
	commit(t, l, image("new"))
	old := open(t, former, Options{})
	expect(t, "outbox of the former ledger", 20, old.Outbox())
}

func TestDamagedBackups(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	commit(t, l, image("a"))
	var backup bytes.Buffer
	if err := l.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	whole := backup.Bytes()
	if _, err := CheckBackup(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	dir := t.TempDir()
	for what, bad := range map[string][]byte{"nothing": nil, "short": whole[:len(whole)-1], "half": whole[:len(whole)/2], "flipped": flipped, "no backup": []byte("results.jsonl, perhaps, but nothing that was written by a box")} {
		if _, err := CheckBackup(bytes.NewReader(bad)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		if _, _, err := Restore(bytes.NewReader(bad), filepath.Join(dir, "ledger"), slog.New(slog.DiscardHandler)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s was restored: %v", what, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("a damaged backup left %v, %v", left, err)
	}
}

func TestBoundedOutbox(t *testing.T) {
	l := open(t, t.TempDir(), Options{MaxResults: 3})
	for n := range 3 {
		commit(t, l, image(fmt.Sprint(n)))
	}
	late := image("late")
	for _, err := range []error{l.Ready(), l.Commit(late, sighting(late), message(late))} {
		if !errors.Is(err, ErrOutboxFull) {
			t.Errorf("a fourth result: %v", err)
		}
	}
	again := image("1")
	again.Attempt = 2
	if err := l.Commit(again, spine.Sighting{}, message(again)); err != nil {
		t.Errorf("a retry, which takes the place of its last result: %v", err)
	}
	if _, err := l.Delivered(resultID(image("0"))); err != nil {
		t.Fatal(err)
	}
	commit(t, l, late)

	l = open(t, t.TempDir(), Options{MaxBytes: 2000})
	n := 0
	for ; l.Ready() == nil; n++ {
		commit(t, l, image(fmt.Sprint(n)))
	}
	if err := l.Ready(); !errors.Is(err, ErrOutboxFull) || n < 5 || n > 30 {
		t.Errorf("after %d results: %v", n, err)
	}
}
