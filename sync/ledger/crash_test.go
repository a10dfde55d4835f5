package ledger

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const crashDir = "LEDGER_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, commitForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// commitForEver is the process that gets killed. It says what it is about to
// do and what was acknowledged, a line each.
func commitForEver(dir string) error {
	l, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	for {
		img := image(fmt.Sprint(os.Getpid(), rand.Uint64()))
		if err := l.Commit(img, sighting(img), message(img)); err != nil {
			return err
		}
		fmt.Println("committed", img.Digest, img.Sequence)
		if rand.IntN(3) > 0 {
			continue
		}
		fmt.Println("delivering", img.Digest)
		if ok, err := l.Delivered(resultID(img)); err != nil || !ok {
			return fmt.Errorf("delivered is %t: %w", ok, err)
		}
		fmt.Println("delivered", img.Digest)
	}
}

func TestKilledAtRandomMoments(t *testing.T) {
	dir := t.TempDir()
	committed := map[string]string{} // digest → sequence, acknowledged
	delivering := map[string]bool{}  // said before Delivered
	delivered := map[string]bool{}   // acknowledged
	for round := range 10 {
		lines := 1 + rand.IntN(60)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		for n := 1; said.Scan(); n++ { // and what is in the pipe after its end
			if n == lines {
				child.Process.Kill()
			}
			switch what := strings.Fields(said.Text()); what[0] {
			case "committed":
				committed[what[1]] = what[2]
			case "delivering":
				delivering[what[1]] = true
			case "delivered":
				delivered[what[1]] = true
			}
		}
		if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("round %d: the child ended with %v", round, err)
		}
		inspect(t, dir, committed, delivering, delivered)
		if t.Failed() {
			t.Fatalf("in round %d, killed after %d lines", round, lines)
		}
	}
	t.Logf("%d commits and %d receipts acknowledged", len(committed), len(delivered))
}

// inspect opens what the kill left and compares it with what was said.
func inspect(t *testing.T, dir string, committed map[string]string, delivering, delivered map[string]bool) {
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
		if said, ok := committed[img.Digest]; ok && said != fmt.Sprint(img.Sequence) {
			t.Errorf("image %.12s has sequence %d, but %s was acknowledged", img.Digest, img.Sequence, said)
		}
		switch n := waiting[resultID(img)]; {
		case delivered[img.Digest] && n != 0:
			t.Errorf("image %.12s was delivered, but waits", img.Digest)
		case !delivering[img.Digest] && n != 1:
			t.Errorf("image %.12s has %d outbox entries", img.Digest, n)
		}
		if seen, ok, err := l.Sighting(img.Source, img.Name); !ok || err != nil || seen.Digest != img.Digest {
			t.Errorf("image %.12s has the sighting %v, %v", img.Digest, seen, err)
		}
		if _, ok := committed[img.Digest]; !ok {
			committed[img.Digest] = fmt.Sprint(img.Sequence) // written, but not acknowledged before the kill
		}
	}
	if len(all) != len(committed) {
		t.Errorf("%d images, but %d were acknowledged", len(all), len(committed))
	}
	expect(t, "outbox", len(entries), l.Outbox())
	expect(t, "classified", len(all), int(l.Counters().Classified))
}
