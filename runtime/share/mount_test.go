package share

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"spinebox/internal/spine"
)

// serveEnv makes this test's own binary a file system that shows a folder: a
// process of its own, because a share that hangs must not hang its test.
const serveEnv = "SPINEBOX_TEST_FUSE"

func TestMain(m *testing.M) {
	if folders := os.Getenv(serveEnv); folders != "" {
		source, target, _ := strings.Cut(folders, ":")
		if err := serveFolder(source, target); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func serveFolder(source, target string) error {
	root, err := fs.NewLoopbackRoot(source)
	if err != nil {
		return err
	}
	var never time.Duration // nothing is remembered: every look asks this process
	server, err := fs.Mount(target, root, &fs.Options{
		EntryTimeout: &never, AttrTimeout: &never, NegativeTimeout: &never,
		MountOptions: fuse.MountOptions{DirectMountStrict: true},
	})
	if err != nil {
		return err
	}
	server.Wait()
	return nil
}

// startFUSE mounts source on target from a process of its own.
func startFUSE(t *testing.T, source, target string) *os.Process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), serveEnv+"="+source+":"+target)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		unix.Unmount(target, unix.MNT_DETACH)
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var st unix.Statfs_t
		if err := unix.Statfs(target, &st); err == nil && st.Type == unix.FUSE_SUPER_MAGIC {
			return c.Process
		}
		if time.Now().After(end) {
			t.Fatal("the FUSE file system was not mounted within a minute")
		}
	}
}

// canMount ends the test where mounting is not allowed: by name on a laptop,
// as a failure where all tests must run.
func canMount(t *testing.T) {
	t.Helper()
	probe := t.TempDir()
	err := unix.Mount("none", probe, "tmpfs", 0, "")
	if err == nil {
		unix.Unmount(probe, unix.MNT_DETACH)
		if _, err = os.Stat("/dev/fuse"); err == nil {
			return
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("this test mounts file systems, which is not possible here: %v", err)
	}
	t.Skipf("this test mounts file systems, which is not possible here: %v", err)
}

// live is a rig whose watcher runs, as in the service.
type live struct {
	*rig
	slowest time.Duration // from an event to the right state
}

func runLive(t *testing.T, change ...func(*Options)) *live {
	t.Helper()
	l := &live{rig: newRig(t, append([]func(*Options){func(o *Options) {
		o.Mount, o.Now = true, nil
		if os.Getenv("SPINEBOX_TORTURE") == "" { // else as the service sets them
			o.Scan, o.Limit = 100*time.Millisecond, time.Second
		} else {
			o.Scan = time.Second
		}
	}}, change...)...)}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return l
}

// until waits until the share's state is right, and notes how long it took.
func (l *live) until(what string, right func(spine.ShareStatus) bool) {
	l.t.Helper()
	began := time.Now()
	for !right(l.Status()) {
		if time.Since(began) > time.Minute {
			l.t.Fatalf("within a minute it was never so that %s; the status is %+v\n%s", what, l.Status(), l.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(began)
	l.slowest = max(l.slowest, took)
	l.t.Logf("%s: after %s", what, took.Round(10*time.Millisecond))
}

func (l *live) untilHandled(n int) {
	l.t.Helper()
	l.until(fmt.Sprintf("%d files were taken", n), func(spine.ShareStatus) bool { return l.count() == n })
}

func online(s spine.ShareStatus) bool { return s.Online && s.Error == "" }

func offline(because string) func(spine.ShareStatus) bool {
	return func(s spine.ShareStatus) bool { return !s.Online && strings.Contains(s.Error, because) }
}

// unmount unmounts the share as an administrator does, who tries again while a
// look at it is under way.
func (l *live) unmount() {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		err := unix.Unmount(l.root, 0)
		if err == nil {
			return
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			l.t.Fatal(err)
		}
	}
}

// B7: unmounted, mounted again, read-only, writable again; no restart.
func TestAShareThatIsUnmountedAndRemounted(t *testing.T) {
	canMount(t)
	l := runLive(t, func(o *Options) { o.Finished = Delete })
	t.Cleanup(func() { unix.Unmount(l.root, unix.MNT_DETACH) })
	l.until("nothing is mounted yet", offline("nothing is mounted on its folder"))
	for i := range 2 {
		l.must(unix.Mount("none", l.root, "tmpfs", 0, ""))
		l.until("the share is there", online)
		l.write("a.dcm", fmt.Sprintf("picture %d end", i))
		l.untilHandled(i + 1)
		l.until("the file is gone", func(s spine.ShareStatus) bool { return online(s) && len(l.onShare()) == 0 })
		l.unmount()
		l.until("the share is away", offline("nothing is mounted on its folder"))
	}
	source := t.TempDir()
	l.must(unix.Mount(source, l.root, "", unix.MS_BIND, ""))
	l.must(unix.Mount("", l.root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	l.must(os.WriteFile(filepath.Join(source, "b.dcm"), []byte("read-only end"), 0o644))
	l.untilHandled(3)
	l.until("it is read-only", func(s spine.ShareStatus) bool { return s.Online && strings.Contains(s.Error, "the share is read-only") })
	l.must(unix.Mount("", l.root, "", unix.MS_BIND|unix.MS_REMOUNT, ""))
	l.until("it is writable again", func(s spine.ShareStatus) bool { return online(s) && len(l.onShare()) == 0 })
	l.write("c.dcm", "after end")
	l.untilHandled(4)
	l.want("after end", "read-only end", "picture 0 end", "picture 1 end")
	l.inTime()
}

// B7: a share that stops answering, answers again, dies and is mounted again.
func TestAShareThatStopsAnswering(t *testing.T) {
	canMount(t)
	l := runLive(t)
	source := t.TempDir()
	write := func(name, content string) { l.must(os.WriteFile(filepath.Join(source, name), []byte(content), 0o644)) }
	server := startFUSE(t, source, l.root)
	write("a.dcm", "first end")
	l.untilHandled(1)
	l.until("the share is there", online)

	for range 2 {
		l.must(server.Signal(syscall.SIGSTOP))
		l.until("the share hangs", offline("it does not answer"))
		l.must(server.Signal(syscall.SIGCONT))
		l.until("the share answers again", online)
	}
	write("b.dcm", "second end")
	l.untilHandled(2)

	l.must(server.Kill())
	l.until("the share's server has died", offline("the connection to it is broken"))
	l.must(unix.Unmount(l.root, unix.MNT_DETACH))
	l.until("the share is unmounted", offline("nothing is mounted"))
	startFUSE(t, source, l.root)
	l.until("the share is mounted again", online)
	write("c.dcm", "third end")
	l.untilHandled(3)
	l.until("nothing waits", func(s spine.ShareStatus) bool { return online(s) && s.Waiting == 0 })
	l.want("first end", "second end", "third end") // none twice
	l.wantSpool(0)
	l.inTime()
}

// inTime checks the promise of ten seconds where it was measured with the
// service's own settings.
func (l *live) inTime() {
	l.t.Helper()
	l.t.Logf("the slowest change was seen after %s", l.slowest.Round(10*time.Millisecond))
	if os.Getenv("SPINEBOX_TORTURE") != "" && l.slowest > 10*time.Second {
		l.t.Errorf("a change was seen after %s, want at most 10 s", l.slowest)
	}
}

func TestTortureSharesThatGo(t *testing.T) {
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("make torture runs it")
	}
	t.Run("unmounted and remounted", TestAShareThatIsUnmountedAndRemounted)
	t.Run("stops answering", TestAShareThatStopsAnswering)
}
