package share

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// flood fills the share with files too short to be anything, then drops one
// X-ray, which must not wait until each of them has been given up.
func flood(t *testing.T, files int) {
	r := newRig(t)
	for i := range files {
		if i%1000 == 0 {
			r.must(os.Mkdir(filepath.Join(r.root, fmt.Sprint(i/1000)), 0o755))
		}
		r.must(os.WriteFile(filepath.Join(r.root, fmt.Sprintf("%d/%d.txt", i/1000, i)), []byte("no"), 0o644))
	}
	r.scans(2)
	r.write("a.dcm", "picture end")
	began, scans := time.Now(), 0
	for r.count() == 0 && scans < 5 {
		r.scans(1)
		scans++
	}
	t.Logf("%d files: one walk takes %s; an X-ray dropped among them was taken in scan %d, after %s",
		files, r.walked.Round(time.Millisecond), scans, time.Since(began).Round(time.Millisecond))
	if scans > 3 { // seen, settled, taken
		t.Errorf("the X-ray was taken in scan %d", scans)
	}
	r.want("picture end")
	if got := r.Status(); !got.Online || got.Waiting != files {
		t.Errorf("status %+v", got)
	}
}

func TestAFloodOfShortFilesHoldsNoXrayUp(t *testing.T) { flood(t, 1000) }

func TestTortureAHundredThousandShortFiles(t *testing.T) {
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("make torture runs it")
	}
	flood(t, 100_000)
}
