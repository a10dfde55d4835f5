package share

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// Whoever plants a thousand links writes a few lines into the log, not a thousand.
func TestLinksDoNotFloodTheLog(t *testing.T) {
	r := newRig(t)
	for n := range 1000 {
		r.must(os.Symlink("/nowhere", filepath.Join(r.root, fmt.Sprint("link", n))))
	}
	r.write("a.dcm", "picture end")
	r.scans(4)
	r.want("picture end")
	if got := strings.Count(r.log.String(), "left alone on the share"); got != leftAlone+1 {
		t.Errorf("%d lines about links", got)
	}
	if !strings.Contains(r.log.String(), fmt.Sprint("count=", 1000-leftAlone)) {
		t.Errorf("it is not said how many more:\n%s", r.log)
	}
}
