package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/internal/disktest"
)

// A child commits as fast as it can while its disk is filled up at a random
// moment, stays full for a moment, and is emptied again. It must neither end
// nor lose anything that it acknowledged, and go on by itself.
func TestDiskFilledAtRandomMoments(t *testing.T) {
	fillDisk(t, disktest.InMemory(t, 60<<20, 0), 3, (*disktest.Disk).Fill)
	fillDisk(t, disktest.InMemory(t, 200<<20, 300), 2, (*disktest.Disk).FillFiles)
}

func TestTortureDiskWithoutInodes(t *testing.T) {
	torture(t)
	for range 15 {
		fillDisk(t, disktest.Ext4(t, 60<<20, "-N", "1000"), 6, (*disktest.Disk).FillFiles)
	}
}

func TestTortureDiskFilledAtRandomMoments(t *testing.T) {
	torture(t)
	// A fresh disk for every ten fills: the records of all that is committed
	// would fill a small one for good.
	for range 10 {
		fillDisk(t, disktest.Ext4(t, 60<<20), 10, (*disktest.Disk).Fill)
		fillDisk(t, disktest.InMemory(t, 60<<20, 0), 5, (*disktest.Disk).Fill)
	}
}

// Badger would lose the records of a compaction whose tables it cannot create.
func TestCompactionWithoutInodes(t *testing.T) {
	disk := disktest.InMemory(t, 200<<20, 300)
	l := open(t, disk.Dir+"/ledger", Options{})
	const images = 400
	for n := range images {
		img := image(fmt.Sprint(n))
		if err := l.Commit(img, sighting(img), func(sequence uint64) ([]byte, string, error) {
			text, id, err := message(img)(sequence)
			return append(text, strings.Repeat("x", 20<<10)...), id, err
		}); err != nil {
			t.Fatal(err)
		}
	}
	disk.FillFiles()
	compacted := make(chan error, 1)
	go func() { compacted <- l.db.Flatten(1) }()
	select {
	case err := <-compacted: // without the gate
		compacted <- err
	case <-time.After(300 * time.Millisecond): // held, as it must be
	}
	disk.Empty()
	if err := <-compacted; err != nil {
		t.Error(err)
	}
	for n := range images {
		if _, err := l.Image(hash(fmt.Sprint(n))); err != nil {
			t.Fatalf("image %d of %d: %v", n, images, err)
		}
	}
	if n := len(pending(t, l)); n != images {
		t.Errorf("%d results wait, want %d", n, images)
	}
}

func torture(t *testing.T) {
	t.Helper()
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("a long test: SPINEBOX_TORTURE=1 runs it")
	}
}

func fillDisk(t *testing.T, disk *disktest.Disk, times int, fill func(*disktest.Disk)) {
	t.Helper()
	defer disk.Unmount()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	child := startChild(t, disk.Dir+"/ledger", "small")
	refused := 0
	for n := range times {
		child.until(t, "it commits", 1+random.IntN(400), func(what string) bool { return what == "committed" })
		time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond) // anywhere between two commits
		fill(disk)
		began := time.Now()
		child.until(t, "it says that the disk is full", 1, func(what string) bool { return what == "full" })
		if said := time.Since(began); said > 5*time.Second {
			t.Errorf("fill %d: said after %s", n, said)
		}
		if random.IntN(4) == 0 { // what is in flight has time to need the ballast
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		}
		refused++
		if random.IntN(5) == 0 { // the plug is pulled while it is full
			child.kill(t)
			child = child.again(t)
			child.until(t, "it opens on a full disk and says so", 1, func(what string) bool { return what == "full" })
		}
		disk.Empty()
		began = time.Now()
		child.until(t, "it commits again", 1, func(what string) bool { return what == "committed" })
		if back := time.Since(began); back > 30*time.Second {
			t.Errorf("fill %d: back after %s", n, back)
		}
	}
	child.kill(t)
	inspect(t, disk.Dir+"/ledger", child.said)
	t.Logf("seed %d: %d fills, %d commits; the ballast gave %d KiB", seed, refused, len(child.said.committed), child.given>>10)
}

// reportGiven is the child's line about its ballast.
func reportGiven() { fmt.Println("given", ballastGiven()) }

func parseGiven(text string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n
}

// commitOrWait commits, and says so when the disk is full.
func commitOrWait(l *Ledger, commit func() error) error {
	full := false
	for {
		err := commit()
		if !errors.Is(err, ErrDiskFull) {
			return err
		}
		if ready := l.Ready(); !full && errors.Is(ready, ErrDiskFull) {
			fmt.Println("full")
			full = true
		}
		reportGiven()
		time.Sleep(5 * time.Millisecond) // between two tries
	}
}

// A kill may come between the two steps in which Badger makes a log.
func TestLogsWithoutAByte(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	img := image("a")
	commit(t, l, img)
	l.Close()
	for _, name := range []string{"00099.mem", "000099.vlog"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, dir, Options{})
	if _, err := l.Image(img.Digest); err != nil {
		t.Error(err)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	a, b := image("a"), image("b")
	commit(t, l, a)
	if held, err := l.held(); err != nil || held != ballastSize {
		t.Errorf("the ballast holds %d bytes, %v", held, err)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	// Less is free than the reserve, more than half of it.
	l.reserve = int64(s.Bavail) * s.Bsize * 3 / 2
	if err := l.Ready(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("ready: %v", err)
	}
	if err := l.Commit(b, sighting(b), message(b)); !errors.Is(err, ErrDiskFull) {
		t.Errorf("commit: %v", err)
	}
	if _, err := l.Duplicate(sighting(a)); !errors.Is(err, ErrDiskFull) {
		t.Errorf("duplicate: %v", err)
	}
	if n, err := l.Delivered(resultID(a)); n != 1 || err != nil {
		t.Errorf("a receipt, which makes room: %d, %v", n, err)
	}
	l.reserve = 1 << 60
	if _, err := l.Delivered(resultID(b)); !errors.Is(err, ErrDiskFull) {
		t.Errorf("a receipt on a disk that has nothing left: %v", err)
	}
	giveBallast(3 * ballastStep)
	if err := l.Ready(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("ready: %v", err)
	}
	if held, err := l.held(); err != nil || held != ballastSize-3*ballastStep {
		t.Errorf("without room, the ballast holds %d bytes, %v", held, err)
	}
	l.reserve = 1 << 20
	if err := l.Ready(); err != nil {
		t.Errorf("with room: %v", err)
	}
	if held, err := l.held(); err != nil || held != ballastSize {
		t.Errorf("with room, the ballast holds %d bytes, %v", held, err)
	}
	commit(t, l, b)
	expect(t, "sequence", 2, b.Sequence)
}
