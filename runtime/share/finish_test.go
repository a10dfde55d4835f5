package share

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onShare returns the names of all files on the share.
func (r *rig) onShare() (names []string) {
	r.t.Helper()
	r.must(filepath.WalkDir(r.root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(r.root, path)
			names = append(names, name)
		}
		return err
	}))
	return names
}

func (r *rig) wantOnShare(names ...string) {
	r.t.Helper()
	slices.Sort(names)
	if got := r.onShare(); !slices.Equal(got, names) {
		r.t.Errorf("on the share are %q, want %q", got, names)
	}
}

func TestFinishedFilesAreLeftUnlessTheConfigurationSaysOtherwise(t *testing.T) {
	for _, test := range []struct {
		finished Finished
		want     []string
	}{
		{Leave, []string{"a.dcm", "day 1/b.dcm", "day 1/copy of a.dcm", "half.dcm", ".hidden", "large.dcm"}},
		{Delete, []string{"half.dcm", ".hidden", "large.dcm"}},
		{Move, []string{"done/a.dcm", "done/day 1/b.dcm", "done/day 1/copy of a.dcm", "half.dcm", ".hidden", "large.dcm"}},
	} {
		t.Run(string(test.finished), func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Finished, o.MoveTo, o.MaxBytes = test.finished, "done", 1000 })
			r.write("a.dcm", "first end")
			r.write("day 1/b.dcm", "second end")
			r.write("day 1/copy of a.dcm", "first end")
			r.write("half.dcm", "ha")
			r.write(".hidden", "hidden end")
			r.write("large.dcm", strings.Repeat("x", 1001))
			r.scans(4)
			r.want("first end", "first end", "second end")
			r.wantOnShare(test.want...)
			r.scans(3) // what was set apart is not taken again
			r.want("first end", "first end", "second end")
		})
	}
}

// The power went between the result and the removal.
func TestAFileThatIsKnownIsFinishedAfterARestart(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	r.scans(2)
	r.wantOnShare("a.dcm")
	r.restart(func(o *Options) { o.Finished = Delete })
	r.scans(1)
	r.wantOnShare()
	r.want("picture end")
}

// A file that could not be taken in must not go, nor one that was written anew.
func TestOnlyWhatHasItsResultIsFinished(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Finished = Delete })
	r.write("a.dcm", "picture end")
	r.refuse = errors.New("the ledger is full")
	r.scans(1)
	for range 3 {
		_ = r.scan()
	}
	r.wantOnShare("a.dcm")
	r.refuse = nil
	written := false
	r.lane.hold = func(step string) error {
		if step == "stat" && r.count() == 1 && !written { // the removal's look
			written = true
			r.write("a.dcm", "another picture end")
		}
		return nil
	}
	r.scans(1)
	r.want("picture end")
	r.wantOnShare("a.dcm")
	r.scans(3)
	r.want("another picture end", "picture end")
	r.wantOnShare()
}

func TestMovedFilesTakeNobodysPlace(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Finished, o.MoveTo = Move, "done" })
	for i, content := range []string{"first end", "second end", "third end"} {
		r.write("day/a.dcm", content)
		r.scans(3)
		if r.count() != i+1 {
			t.Fatalf("handled %q", r.bytes)
		}
	}
	r.wantOnShare("done/day/a.dcm", "done/day/a-2.dcm", "done/day/a-3.dcm")
}

// The share stays online and is served; the status says what to do, until it is
// done.
func TestFilesThatCannotBeRemovedAreAState(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"read-only", unix.EROFS, "Files that have their result cannot be deleted: the share is read-only; mount it for writing, or set finished to leave."},
		{"not allowed", unix.EACCES, "Files that have their result cannot be deleted: the service may not write there; give it the right to, or set finished to leave."},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Finished = Delete })
			r.lane.hold = func(step string) error {
				if step == "remove" {
					return ofFile(test.err)
				}
				return nil
			}
			r.write("a.dcm", "first end")
			r.scans(2)
			r.write("b.dcm", "second end")
			r.scans(4)
			r.want("first end", "second end")
			if got := r.Status(); !got.Online || got.Error != test.want || got.Waiting != 0 {
				t.Errorf("status %+v, want %q", got, test.want)
			}
			r.lane.hold = nil
			r.scans(1)
			r.wantOnShare()
			if got := r.Status(); got.Error != "" {
				t.Errorf("status %+v", got)
			}
		})
	}
}

// Whoever writes on the share must not lead the box to move files elsewhere.
func TestFilesAreNotMovedThroughALink(t *testing.T) {
	elsewhere := t.TempDir()
	r := newRig(t, func(o *Options) { o.Finished, o.MoveTo = Move, "done" })
	r.must(os.Symlink(elsewhere, filepath.Join(r.root, "done")))
	r.write("a.dcm", "picture end")
	r.scans(3)
	r.want("picture end")
	r.wantOnShare("a.dcm", "done")
	if files, err := os.ReadDir(elsewhere); err != nil || len(files) != 0 {
		t.Errorf("%v was written elsewhere (%v)", files, err)
	}
	if got := r.Status().Error; !strings.Contains(got, "is a file or a link; rename it") {
		t.Errorf("status says %q", got)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for _, o := range []Options{
		{Finished: "burn"}, {Finished: Move}, {Finished: Move, MoveTo: "a/b"}, {Finished: Move, MoveTo: ".."},
		{Ignore: []string{"[a"}}, {Ignore: []string{""}},
	} {
		o.Name, o.Root, o.Spool, o.Whole = "scanner", "/x", "/y", whole
		o.Known, o.Handle = newRig(t).o.Known, newRig(t).handle
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
