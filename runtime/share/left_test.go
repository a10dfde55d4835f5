package share

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNothingButRegularFilesBeneathTheRoot(t *testing.T) {
	r := newRig(t)
	secret := filepath.Join(t.TempDir(), "secret")
	r.must(os.Mkdir(secret, 0o755))
	r.must(os.WriteFile(filepath.Join(secret, "key"), []byte("secret end"), 0o600))
	r.must(os.Symlink(filepath.Join(secret, "key"), filepath.Join(r.root, "link.dcm")))
	r.must(os.Symlink(secret, filepath.Join(r.root, "folder")))
	r.must(os.Symlink("loop", filepath.Join(r.root, "loop")))
	r.must(unix.Mkfifo(filepath.Join(r.root, "pipe.dcm"), 0o666))
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	r.must(err)
	defer unix.Close(socket)
	r.must(unix.Bind(socket, &unix.SockaddrUnix{Name: filepath.Join(r.root, "s.dcm")}))
	r.write("a.dcm", "picture end")
	r.scans(4)
	r.want("picture end")
	if got := strings.Count(r.log.String(), "not a regular file"); got != 5 {
		t.Errorf("%d notes about 5 odd entries:\n%s", got, r.log)
	}
}

// Between the walk and the open, anything can become a link or a pipe.
func TestEntrySwappedBeforeItIsOpened(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "key")
	for _, test := range []struct {
		name string
		swap func(r *rig, dir string) error
	}{
		{"file becomes a link", func(r *rig, dir string) error {
			r.must(os.Remove(filepath.Join(dir, "a.dcm")))
			return os.Symlink(outside, filepath.Join(dir, "a.dcm"))
		}},
		{"file becomes a pipe", func(r *rig, dir string) error {
			r.must(os.Remove(filepath.Join(dir, "a.dcm")))
			return unix.Mkfifo(filepath.Join(dir, "a.dcm"), 0o666)
		}},
		{"folder becomes a link", func(r *rig, dir string) error {
			r.must(os.RemoveAll(dir))
			return os.Symlink(filepath.Dir(outside), dir)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.must(os.WriteFile(outside, []byte("picture end"), 0o600))
			r.must(os.WriteFile(filepath.Join(filepath.Dir(outside), "a.dcm"), []byte("picture end"), 0o600))
			r.write("study/a.dcm", "picture end")
			swapped := false
			r.lane.hold = func(step string) error {
				if step == "open" && !swapped {
					swapped = true
					return test.swap(r, filepath.Join(r.root, "study"))
				}
				return nil
			}
			r.scans(4)
			r.want()
			if !swapped {
				t.Error("the test swapped nothing")
			}
		})
	}
}

func TestNamesAreBytesAndNeverLogged(t *testing.T) {
	r := newRig(t)
	names := []string{"Doe^Jane\n1970.dcm", "Doe \x1b[31mred\x1b[0m.dcm", "Doe\xff\xfe.dcm", "Doe 'q' \"d\" $(x).dcm", "-Doe.dcm"}
	for i, name := range names {
		r.write(name, fmt.Sprintf("%d end", i))
	}
	r.write("Doe large.dcm", strings.Repeat("x", 2000))
	r.must(os.Symlink("/etc/hosts", filepath.Join(r.root, "Doe link.dcm")))
	r.restart(func(o *Options) { o.MaxBytes = 1000 })
	r.lane.hold = func(step string) error { // unreadable at first
		if step == "open" && r.clock.Second() < 10 {
			return ofFile(unix.EACCES)
		}
		return nil
	}
	r.scans(20)
	got := map[string]bool{}
	for _, c := range r.handled {
		got[c.Name] = true
	}
	for _, name := range names {
		if !got[name] {
			t.Errorf("%q was not claimed under its own name", name)
		}
	}
	if all := r.log.String() + r.Status().Error; strings.Contains(all, "Doe") || strings.Contains(all, "\x1b") {
		t.Errorf("a name reached the log or the status:\n%s", all)
	}
}

func TestLargeFileIsLeftAndSaid(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxBytes = 1 << 20 })
	r.write("large.dcm", strings.Repeat("x", 1<<20)+"end")
	r.write("a.dcm", "picture end")
	r.scans(4)
	r.want("picture end")
	want := "1 of its files are larger than 1 MB and stay on the share."
	if got := r.Status(); got.Error != want || !got.Online || got.Waiting != 0 {
		t.Errorf("status %+v, want %q", got, want)
	}
	if got := strings.Count(r.log.String(), "larger than the limit"); got != 1 {
		t.Errorf("%d log lines about one large file", got)
	}
	r.must(os.Remove(filepath.Join(r.root, "large.dcm")))
	r.scans(1)
	if got := r.Status().Error; got != "" {
		t.Errorf("the file is gone, the status still says %q", got)
	}
}

func TestBusyFileIsTakenWhenItCanBeRead(t *testing.T) {
	r := newRig(t)
	r.write("a.dcm", "picture end")
	locked := true
	r.lane.hold = func(step string) error {
		if step == "read" && locked {
			return ofFile(unix.EBUSY)
		}
		return nil
	}
	r.scans(4)
	r.want()
	if got := r.Status(); !got.Online || !strings.HasPrefix(got.Error, "1 of its files") {
		t.Errorf("status %+v", got)
	}
	locked = false
	r.scans(20)
	r.want("picture end")
	if got := r.Status().Error; got != "" {
		t.Errorf("status still says %q", got)
	}
}

func TestFullDiskTakesNothingIn(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Reserve = math.MaxInt64 / 2 })
	r.write("a.dcm", "picture end")
	r.scans(1)
	if err := r.scan(); err == nil || !strings.HasPrefix(r.Status().Error, "The disk is full") {
		t.Fatalf("scan: %v, status %+v", err, r.Status())
	}
	r.Watcher.spool.reserve = 1
	r.scans(1)
	r.want("picture end")
}

// One file that is too large for what is left must not hold up those behind it.
func TestAFileTooLargeForTheFreeSpaceIsPassedOver(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxBytes = math.MaxInt64 })
	r.write("a.dcm", "first end")
	r.write("b.dcm", "second end")
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f, err := os.Create(filepath.Join(r.root, "large.dcm")) // the oldest, sparse
	r.must(err)
	var st unix.Statfs_t
	r.must(unix.Statfs(r.root, &st))
	free := int64(st.Bavail) * st.Bsize
	r.must(f.Truncate(free * 3 / 4))
	r.must(f.Close())
	r.must(os.Chtimes(f.Name(), begin, begin))
	r.Watcher.spool.reserve = free / 2
	r.scans(4)
	r.want("first end", "second end")
	if got := r.Status(); !got.Online || !strings.HasPrefix(got.Error, "1 of its files do not fit on the box's disk now") || got.Waiting != 1 {
		t.Errorf("status %+v", got)
	}
	r.must(os.Remove(f.Name()))
	r.scans(1)
	if got := r.Status(); got.Error != "" || got.Waiting != 0 {
		t.Errorf("status %+v", got)
	}
}
