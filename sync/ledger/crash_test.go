package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spinebox/internal/livetest"
)

// A child is this test's own binary, run as a process that can be killed.
const (
	childDir  = "LEDGER_CHILD_DIR"
	childDisk = "LEDGER_CHILD_DISK" // "small": a reserve for a disk of 60 MB
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, commitForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// commitForEver is the process that gets killed. It says what it is about to
// do and what was acknowledged, a line each.
func commitForEver(dir string) error {
	var o Options
	if os.Getenv(childDisk) == "small" {
		o.Reserve = 8 << 20
	}
	l, err := Open(dir, o)
	if err != nil {
		return err
	}
	for {
		img := image(fmt.Sprint(os.Getpid(), rand.Uint64()))
		kept := rand.IntN(8) == 0
		bulk := "" // so that Badger flushes and compacts, and a small disk holds what is kept
		if !kept {
			bulk = strings.Repeat("x", 20<<10)
		}
		if err := commitOrWait(l, func() error {
			return l.Commit(img, sighting(img), func(sequence uint64) ([]byte, string, error) {
				text, id, err := message(img)(sequence)
				return append(text, bulk...), id, err
			})
		}); err != nil {
			return err
		}
		fmt.Println("committed", img.Digest, img.Sequence)
		if kept {
			continue
		}
		fmt.Println("delivering", img.Digest)
		if err := commitOrWait(l, func() error {
			n, err := l.Delivered(resultID(img))
			if err == nil && n != 1 {
				return fmt.Errorf("%d results delivered", n)
			}
			return err
		}); err != nil {
			return err
		}
		fmt.Println("delivered", img.Digest)
	}
}

// testimony is what children said.
type testimony struct {
	committed  map[string]string // digest → sequence, acknowledged
	delivering map[string]bool   // said before Delivered
	delivered  map[string]bool   // acknowledged
}

func newTestimony() *testimony {
	return &testimony{map[string]string{}, map[string]bool{}, map[string]bool{}}
}

func (s *testimony) hear(words []string) {
	switch words[0] {
	case "committed":
		s.committed[words[1]] = words[2]
	case "delivering":
		s.delivering[words[1]] = true
	case "delivered":
		s.delivered[words[1]] = true
	}
}

// child is a running commitForEver.
type child struct {
	*exec.Cmd
	dir, disk string
	pipe      *os.File
	lines     *bufio.Reader
	errors    livetest.Log
	said      *testimony
	given     int64 // bytes of its ballast
}

func startChild(t *testing.T, dir, disk string) *child {
	t.Helper()
	return begin(t, &child{dir: dir, disk: disk, said: newTestimony()})
}

// again starts another process that goes on with the ledger of one that ended.
func (c *child) again(t *testing.T) *child {
	t.Helper()
	return begin(t, &child{dir: c.dir, disk: c.disk, said: c.said, given: c.given})
}

func begin(t *testing.T, c *child) *child {
	t.Helper()
	c.Cmd = exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+c.dir, childDisk+"="+c.disk)
	c.Stderr = &c.errors
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	c.pipe = out.(*os.File)
	c.lines = bufio.NewReader(out)
	return c
}

// hear takes the next line, and returns its first word. At the end it is "".
func (c *child) hear() string {
	line, err := c.lines.ReadString('\n')
	if err != nil { // half a line was not said
		return ""
	}
	words := strings.Fields(line)
	if words[0] == "given" {
		c.given = max(c.given, parseGiven(words[1]))
	}
	c.said.hear(words)
	return words[0]
}

// until listens until the child has said it that many times.
func (c *child) until(t *testing.T, what string, times int, wanted func(string) bool) {
	t.Helper()
	for times > 0 {
		word := c.hear()
		if word == "" {
			t.Fatalf("the child ended (%v) before %s:\n%s", c.Wait(), what, c.errors.String())
		}
		if wanted(word) {
			times--
		}
	}
}

// kill ends the child as a power cut would, and hears the last that it said.
func (c *child) kill(t *testing.T) {
	t.Helper()
	c.Process.Kill()
	for c.hear() != "" {
	}
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended with %v:\n%s", err, c.errors.String())
	}
}

func TestKilledAtRandomMoments(t *testing.T) {
	c := startChild(t, t.TempDir(), "")
	for round := range 10 {
		for range 1 + rand.IntN(60) {
			c.hear()
		}
		c.kill(t)
		inspect(t, c.dir, c.said)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		c = c.again(t)
	}
	t.Logf("%d commits and %d receipts acknowledged", len(c.said.committed), len(c.said.delivered))
}

// inspect opens what the kill left and compares it with what was said.
func inspect(t *testing.T, dir string, said *testimony) {
	t.Helper()
	l := open(t, dir, Options{})
	defer l.Close()
	all, err := l.Recent(math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := l.Pending(0, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	waiting := map[string]int{}
	for _, e := range entries {
		waiting[e.Result]++
	}
	last := uint64(math.MaxUint64)
	for _, img := range all {
		if img.Sequence >= last {
			t.Errorf("sequence %d follows %d, newest first", img.Sequence, last)
		}
		last = img.Sequence
		if before, ok := said.committed[img.Digest]; ok && before != fmt.Sprint(img.Sequence) {
			t.Errorf("image %.12s has sequence %d, but %s was acknowledged", img.Digest, img.Sequence, before)
		}
		switch n := waiting[resultID(img)]; {
		case said.delivered[img.Digest] && n != 0:
			t.Errorf("image %.12s was delivered, but waits", img.Digest)
		case !said.delivering[img.Digest] && n != 1:
			t.Errorf("image %.12s has %d outbox entries", img.Digest, n)
		}
		if seen, ok, err := l.Sighting(img.Source, img.Name); !ok || err != nil || seen.Digest != img.Digest {
			t.Errorf("image %.12s has the sighting %v, %v", img.Digest, seen, err)
		}
		if _, ok := said.committed[img.Digest]; !ok {
			said.committed[img.Digest] = fmt.Sprint(img.Sequence) // written, but not acknowledged before the kill
		}
	}
	if len(all) != len(said.committed) {
		t.Errorf("%d images, but %d were acknowledged", len(all), len(said.committed))
	}
	expect(t, "outbox", len(entries), l.Outbox())
	expect(t, "classified", len(all), int(l.Counters().Classified))
}

func (s *testimony) clone() *testimony {
	return &testimony{maps.Clone(s.committed), maps.Clone(s.delivering), maps.Clone(s.delivered)}
}

// stopped waits until the child stands still.
func (c *child) stopped(t *testing.T) {
	t.Helper()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if _, state, _ := strings.Cut(string(stat), ") "); state[0] == 'T' {
			return
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

// hearAll hears all that a stopped child has said. It writes whole lines.
func (c *child) hearAll(t *testing.T) {
	t.Helper()
	for {
		if c.lines.Buffered() == 0 {
			fds := []unix.PollFd{{Fd: int32(c.pipe.Fd()), Events: unix.POLLIN}}
			if n, err := unix.Poll(fds, 0); n == 0 && err == nil {
				return
			} else if err != nil && !errors.Is(err, unix.EINTR) {
				t.Fatal(err)
			}
		}
		c.hear()
	}
}
