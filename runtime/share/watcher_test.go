package share

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFileIsTakenOnceWhenSettled(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	r.scans(1)
	r.want() // seen once: who knows
	if got := r.Status(); !got.Online || got.Waiting != 1 {
		t.Errorf("status after one scan: %+v", got)
	}
	r.scans(1)
	r.want("picture end")
	c := r.handled[0]
	info, err := os.Stat(filepath.Join(r.root, "a.dcm"))
	r.must(err)
	if c.Source != "scanner" || c.Name != "a.dcm" || !c.Whole || !c.ModTime.Equal(info.ModTime()) || !c.Received.Equal(r.clock) {
		t.Errorf("claim %+v", c)
	}
	r.scans(3)
	r.want("picture end")
	r.wantSpool(0)
	if got := r.Status(); !got.Online || got.Waiting != 0 || got.Error != "" || !got.Scanned.Equal(r.clock) {
		t.Errorf("status at the end: %+v", got)
	}
}

func TestFileThatGrowsIsTakenWhenItRests(t *testing.T) {
	r := newRig(t)
	content := ""
	for i := range 5 {
		content += fmt.Sprintf("part %d end ", i)
		content = strings.TrimSuffix(content, " ")
		r.write("a.jpg", content)
		r.scans(1)
	}
	r.want()
	r.scans(1)
	r.want(content)
}

func TestHalfFileWaitsForItsSecondHalf(t *testing.T) {
	r := newRig(t)
	r.write("a.png", "first half")
	r.scans(3) // settled, but not whole
	r.want()
	if got := r.Status().Waiting; got != 1 {
		t.Errorf("%d files wait, want 1", got)
	}
	r.write("a.png", "first half, second half, end")
	r.scans(2)
	r.want("first half, second half, end")
}

func TestShortFileIsTakenWhenItsPatienceEnds(t *testing.T) {
	r := newRig(t)
	copies := 0
	r.lane.hold = func(step string) error {
		if step == "open" {
			copies++
		}
		return nil
	}
	r.write("a.dcm", "truncat")
	r.scans(2) // seen, then seen unchanged: from here its patience counts
	seen := r.clock
	for r.count() == 0 && r.clock.Sub(seen) < 2*time.Minute {
		r.scans(1)
	}
	r.want("truncat")
	if waited := r.clock.Sub(seen); waited != time.Minute || r.handled[0].Whole {
		t.Errorf("taken after %v, whole %v; want 1m0s, false", waited, r.handled[0].Whole)
	}
	if copies > 7 {
		t.Errorf("a short file was copied %d times while it waited", copies)
	}
	r.scans(2)
	r.want("truncat")
}

// Some servers set a file's final size first and tell its times late.
func TestContentThatChangesUnderTheSameSighting(t *testing.T) {
	r := newRig(t)
	when := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	put := func(content string) {
		f, err := os.OpenFile(filepath.Join(r.root, "a.dcm"), os.O_WRONLY|os.O_CREATE, 0o644)
		r.must(err)
		_, err = f.WriteString(content)
		r.must(err)
		r.must(f.Close())
		r.must(os.Chtimes(f.Name(), when, when))
	}
	put("0000000000")
	r.scans(4)
	put("1111100000")
	r.scans(28) // 64 s after its first sighting
	r.want()    // its patience began again with the change
	put("1111111end")
	r.scans(20)
	r.want("1111111end")
	if !r.handled[0].Whole {
		t.Error("taken as not whole")
	}
}

func TestRenamedIntoPlace(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Ignore = []string{"*.BAK", "report-?.pdf", "old *"} })
	for _, name := range []string{
		"a.dcm.part", "a.TMP", "a.filepart", "a.dcm~", "~a.dcm", ".a.dcm", ".DS_Store", "Thumbs.db",
		".hidden/a.dcm", "lost+found/a.dcm", "$Recycle.Bin/a.dcm", "THUMBS.DB", "DICOMDIR",
		"a.bak", "Report-1.pdf", "Old X-rays/a.dcm", "day 1/old file.dcm",
	} {
		r.write(name, "picture end")
	}
	r.scans(3)
	r.want()
	if got := r.Status().Waiting; got != 0 {
		t.Errorf("%d ignored files count as waiting", got)
	}
	r.must(os.Rename(filepath.Join(r.root, "a.dcm.part"), filepath.Join(r.root, "a.dcm")))
	r.scans(2)
	r.want("picture end")
}

func TestRewrittenFileIsANewSighting(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "one end")
	r.scans(2)
	r.write("a.dcm", "another end")
	r.scans(2)
	r.want("one end", "another end")
}

func TestFileChangedWhileItIsRead(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *rig, path string)
		want   []string
	}{
		{"grown", func(r *rig, path string) { r.write("a.dcm", "picture end, and more end") }, []string{"picture end, and more end"}},
		{"rewritten at the same length", func(r *rig, path string) { r.write("a.dcm", "PICTURE end") }, []string{"PICTURE end"}},
		{"truncated", func(r *rig, path string) { r.must(os.Truncate(path, 3)) }, nil},
		// Whoever has the file open still reads all of it.
		{"removed", func(r *rig, path string) { r.must(os.Remove(path)) }, []string{"picture end"}},
		{"replaced", func(r *rig, path string) {
			r.write("new", "new end")
			r.must(os.Rename(filepath.Join(r.root, "new"), path))
		}, []string{"picture end", "new end"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.write("a.dcm", "picture end")
			changed := false
			r.lane.hold = func(step string) error {
				if step == "read" && !changed {
					changed = true
					test.change(r, filepath.Join(r.root, "a.dcm"))
				}
				return nil
			}
			r.scans(4)
			r.want(test.want...)
			r.wantSpool(0)
		})
	}
}

// A file that is written faster than it is read must not fill the disk.
func TestFileThatGrowsWhileItIsRead(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	reads := 0
	r.lane.hold = func(step string) error {
		if step == "read" && reads < 1000 {
			reads++
			f, err := os.OpenFile(filepath.Join(r.root, "a.dcm"), os.O_WRONLY|os.O_APPEND, 0)
			r.must(err)
			_, err = f.Write(make([]byte, 1000))
			r.must(err)
			r.must(f.Close())
		}
		return nil
	}
	r.scans(2)
	if reads == 0 || reads > 2 {
		t.Errorf("read on %d times while it grew", reads)
	}
	r.wantSpool(0)
}

// With cached attributes a share can tell one size and deliver another for a
// long time; that must not copy the file at every scan.
func TestSizeThatIsNotTrue(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	copies := 0
	r.lane.hold = func(step string) error {
		if step == "read" {
			copies++
			return errChanged
		}
		return nil
	}
	r.scans(30)
	if copies == 0 || copies > 7 {
		t.Errorf("copied %d times in a minute", copies)
	}
	if got := r.Status(); !got.Online || got.Waiting != 1 {
		t.Errorf("status %+v", got)
	}
}

func TestManyFilesInFolders(t *testing.T) {
	r := newRig(t)
	var want []string
	for i := range 200 {
		content := fmt.Sprintf("picture %d end", i)
		name := fmt.Sprintf("day %d/patient %d/%d.dcm", i%3, i%17, i)
		if i == 199 {
			name = "1/2/3/4/5/6/7/8/deep.dcm"
		}
		r.write(name, content)
		want = append(want, content)
	}
	r.write("1/2/3/4/5/6/7/8/9/deeper.dcm", "too deep end")
	r.scans(2)
	for r.count() < 200 { // one scan works for a few seconds at most
		r.scans(1)
	}
	r.scans(1)
	r.want(want...)
	r.wantSpool(0)
	r.restart() // a full rescan over what the ledger knows
	r.scans(3)
	r.want(want...)
}

// The oldest and the newest by turns, and what was looked at before comes last.
func TestFilesAreTakenByTurns(t *testing.T) {
	r := newRig(t)
	for i := range 7 {
		name := fmt.Sprintf("%d.dcm", i)
		r.write(name, "picture end")
		when := time.Unix(int64(1e9+i), 0)
		r.must(os.Chtimes(filepath.Join(r.root, name), when, when))
	}
	var order []string
	r.lane.hold = func(step string) error {
		if step == "open" {
			return errChanged
		}
		return nil
	}
	r.scans(2) // seen, settled; none could be copied
	for _, name := range []string{"1.dcm", "2.dcm", "3.dcm", "4.dcm", "5.dcm"} {
		r.seen[name].look = time.Time{} // as if they had come since
	}
	r.clock = r.clock.Add(time.Minute)
	found, err := r.tree.walk(func(string) error { return nil })
	r.must(err)
	for _, e := range r.due(found.files) {
		order = append(order, e.name)
	}
	want := "[1.dcm 5.dcm 2.dcm 4.dcm 3.dcm 0.dcm 6.dcm]"
	if got := fmt.Sprint(order); got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}

func TestHandlerThatCannotTakeIn(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "first end")
	r.scans(1)
	r.write("b.dcm", "second end")
	r.refuse = errors.New("the ledger is full")
	if err := r.scan(); !errors.Is(err, r.refuse) {
		t.Fatalf("scan: %v", err)
	}
	// The only copy left is the spool's.
	r.must(os.Remove(filepath.Join(r.root, "a.dcm")))
	for range 3 {
		if err := r.scan(); !errors.Is(err, r.refuse) {
			t.Fatalf("scan: %v", err)
		}
	}
	if got := r.Status().Error; got != "The box cannot take files in: the ledger is full." {
		t.Errorf("status says %q", got)
	}
	if got := strings.Count(r.log.String(), "share in trouble"); got != 1 {
		t.Errorf("the same trouble was logged %d times", got)
	}
	r.refuse = nil
	r.scans(3)
	r.want("first end", "second end")
	r.wantSpool(0)
}

func TestLeftoversOfACrash(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "first end")
	r.write("b.dcm", "second end")
	r.refuse = errors.New("the power goes")
	r.scans(1)
	_ = r.scan()
	r.wantSpool(4) // two copies, each with its note
	r.must(os.WriteFile(filepath.Join(r.spool, "123.part"), []byte("half"), 0o600))
	r.must(os.WriteFile(filepath.Join(r.spool, strings.Repeat("0", 64)), []byte("without a note"), 0o600))
	r.must(os.WriteFile(filepath.Join(r.spool, strings.Repeat("1", 64)+".json"), []byte("{torn"), 0o600))
	r.refuse = nil

	t.Run("not committed, gone from the share", func(t *testing.T) {
		r.must(os.Remove(filepath.Join(r.root, "a.dcm")))
		r.restart()
		r.scans(1)
		r.want("first end", "second end")
		for _, c := range r.handled {
			if c.Name != "a.dcm" && c.Name != "b.dcm" || !c.Whole {
				t.Errorf("claim %+v", c)
			}
		}
		r.wantSpool(0)
		r.scans(1)
		r.want("first end", "second end")
	})
	t.Run("committed, copy not yet removed", func(t *testing.T) {
		r.write("c.dcm", "third end")
		r.refuse = errors.New("the power goes")
		r.scans(1)
		_ = r.scan()
		r.refuse = nil
		info, err := os.Stat(filepath.Join(r.root, "c.dcm"))
		r.must(err)
		inode := r.held[0].Inode
		r.ledger[sightingKey("scanner", "c.dcm", info.Size(), info.ModTime(), inode)] = true
		r.restart()
		r.scans(3)
		r.want("first end", "second end") // no second result
		r.wantSpool(0)
	})
}

func TestHandlerMayMoveTheCopyAway(t *testing.T) {
	quarantine := filepath.Join(t.TempDir(), "quarantine")
	r := newRig(t)
	r.write("a.dcm", "picture end")
	handle := r.o.Handle
	r.o.Handle = func(ctx context.Context, c Claim) error {
		if err := handle(ctx, c); err != nil {
			return err
		}
		return os.Rename(c.Path, quarantine)
	}
	r.scans(2)
	r.want("picture end")
	r.wantSpool(0)
	if _, err := os.Stat(quarantine); err != nil {
		t.Error(err)
	}
}
