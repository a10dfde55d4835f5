package ledger

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"spinebox/internal/disktest"
)

// The power is cut while a child commits: what the disk holds then has all that
// was acknowledged, and goes on from there.
func TestPowerCuts(t *testing.T) { cutPower(t, 3) }

func TestTorturePowerCuts(t *testing.T) {
	torture(t)
	cutPower(t, 100)
}

func cutPower(t *testing.T, cuts int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	total := 0
	for done := 0; done < cuts; {
		disk := disktest.Ext4(t, 100<<20)
		c := startChild(t, disk.Dir+"/ledger", "small")
		for range min(10, cuts-done) { // cuts of the same life, each later than the last
			c.until(t, "it commits", 1+random.IntN(150), func(what string) bool { return what == "committed" })
			time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond) // anywhere between two commits
			if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			c.stopped(t)
			c.hearAll(t)
			left := disk.AfterPowerCut()
			inspect(t, left.Dir+"/ledger", c.said.clone())
			if copies := files(t, left.Dir, "ledger.orphans-*/*.mem"); len(copies) > 0 {
				t.Errorf("logs that a power cut left are taken for damaged: %q", copies)
			}
			left.Remove()
			done++
			if t.Failed() {
				t.Fatalf("seed %d: after cut %d", seed, done)
			}
			if err := c.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
		c.kill(t)
		total += len(c.said.committed)
		disk.Remove()
	}
	t.Logf("seed %d: %d cuts, %d commits", seed, cuts, total)
}
