package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"spinebox/internal/spine"
	"spinebox/lab/phantom"
	"spinebox/sync/ledger"
)

// scanner writes files onto the share in all the ways that scanners have, and
// remembers what was whole.
type scanner struct {
	*rig
	share string

	mu     sync.Mutex
	random *rand.Rand
	whole  map[string]string // digest of a content that was whole at some time: how it came
	final  map[string]string // of one that is on the share at the end
	drawn  uint64
}

// content draws an X-ray file that no other file has.
func (s *scanner) content(reserved bool) []byte {
	s.mu.Lock()
	s.drawn++
	seed, kind := s.drawn, s.random.IntN(4)
	s.mu.Unlock()
	if kind < 2 || reserved {
		b, err := makePicture([]string{"grey", "jpeg"}[kind%2], 1000+seed)
		s.must(err)
		return b
	}
	p, err := phantom.Draw(phantom.Spec{Label: spine.Normal, View: phantom.AP, Seed: seed, Width: 100, Height: 180})
	s.must(err)
	var b bytes.Buffer
	s.must(p.Encode(&b, []phantom.Format{phantom.DICOM, phantom.TIFF}[kind%2]))
	return b.Bytes()
}

func (s *scanner) chance(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// pause is sometimes longer than two looks, so that a part of a file rests.
func (s *scanner) pause() {
	most := 20
	if s.chance(8) == 0 {
		most = 350
	}
	time.Sleep(time.Duration(s.chance(most)) * time.Millisecond)
}

// was notes a content that is whole on the share now, before it is.
func (s *scanner) was(how string, content []byte) {
	sum := sha256.Sum256(content)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole[hex.EncodeToString(sum[:])] = how
}

func (s *scanner) stays(how string, content []byte) {
	s.was(how, content)
	sum := sha256.Sum256(content)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.final[hex.EncodeToString(sum[:])] = how
}

// steps writes the content from an offset on in small steps with pauses.
func (s *scanner) steps(path string, content []byte, from int) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	s.must(err)
	defer f.Close()
	for from < len(content) {
		n := min(1+s.chance(len(content)/4+1), len(content)-from)
		_, err := f.WriteAt(content[from:from+n], int64(from))
		s.must(err)
		from += n
		s.pause()
	}
}

// deliver brings one file in one of the ways.
func (s *scanner) deliver(n int) {
	path := filepath.Join(s.share, fmt.Sprintf("%d", n))
	ways := []func(){
		func() { // in small steps
			c := s.content(false)
			s.stays("steps", c)
			s.steps(path, c, 0)
		},
		func() { // in small steps under another name
			c := s.content(false)
			hidden := filepath.Join(s.share, fmt.Sprintf(".%d", n))
			if s.chance(2) == 0 {
				hidden = path + ".part"
			}
			s.stays("renamed", c)
			s.steps(hidden, c, 0)
			s.must(os.Rename(hidden, path))
		},
		func() { // rewritten in place, perhaps while it is read
			for range 1 + s.chance(3) {
				c := s.content(false)
				s.was("rewritten", c)
				s.must(os.WriteFile(path, c, 0o644))
				s.pause()
			}
			c := s.content(false)
			s.stays("rewritten last", c)
			s.must(os.WriteFile(path, c, 0o644))
		},
		func() { // replaced by rename
			first, last := s.content(false), s.content(false)
			s.was("replaced", first)
			s.must(os.WriteFile(path, first, 0o644))
			s.pause()
			s.stays("replacing", last)
			s.steps(path+".tmp", last, 0)
			s.must(os.Rename(path+".tmp", path))
		},
		func() { // truncated, perhaps while it is read, and completed
			c := s.content(false)
			s.stays("truncated and completed", c)
			s.must(os.WriteFile(path, c, 0o644))
			s.pause()
			at := s.chance(len(c))
			s.must(os.Truncate(path, int64(at)))
			s.pause()
			s.steps(path, c, at)
		},
		func() { // removed, perhaps while it is read
			c := s.content(false)
			s.was("removed", c)
			s.must(os.WriteFile(path, c, 0o644))
			s.pause()
			s.must(os.Remove(path))
		},
		func() { // its length reserved before its content comes
			c := s.content(true)
			s.stays("reserved", c)
			s.must(os.WriteFile(path, make([]byte, len(c)), 0o644))
			s.pause()
			s.steps(path, c, 0)
		},
	}
	ways[s.chance(len(ways))]()
}

// unsteady lets a scanner deliver files in all ways at once. Each that is whole
// in the end must have exactly one result, and nothing may have one that never
// was whole.
func unsteady(t *testing.T, files int) {
	r := newRig(t, "")
	// A second share that never comes must not hold the first one up.
	r.configure("{name: scanner, path: scanner, mount: false, scan: 100ms, patience: 10m}, {name: second, path: nowhere}")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &scanner{rig: r, share: r.path("scanner"), random: rand.New(rand.NewPCG(seed, 0)), whole: map[string]string{}, final: map[string]string{}}
	box := r.serve()
	numbers := make(chan int)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for n := range numbers {
				s.deliver(n)
			}
		})
	}
	for n := range files {
		numbers <- n
	}
	close(numbers)
	writers.Wait()

	last := time.Now().Add(time.Second) // the looks after this have seen all
	r.until(box, "every file has its result", func(status spine.Status) bool {
		share := status.Shares["scanner"]
		return !status.Shares["second"].Online && share.Scanned.After(last) && share.Waiting == 0 && !status.Busy
	})
	r.must(box.end())

	l, err := ledger.Open(r.path("data/ledger"), ledger.Options{})
	r.must(err)
	defer l.Close()
	for digest, how := range s.final {
		if _, err := l.Image(digest); err != nil {
			t.Errorf("a file that came %s has no result: %v", how, err)
		}
	}
	images, err := l.Recent(10 * files)
	r.must(err)
	for _, img := range images {
		if s.whole[img.Digest] == "" {
			t.Errorf("the box has answered for %d bytes of file %s that never were a whole file: %+v", img.Size, img.Name, img.Decision)
		} else if img.Decision.Outcome == spine.Failed {
			t.Errorf("a file that came %s failed: %+v", s.whole[img.Digest], img.Decision)
		}
	}
	count := l.Counters()
	if n := int(count.Classified + count.Refused + count.Failed); n != len(images) || count.Duplicates != 0 {
		t.Errorf("%d results for %d images, %d duplicates", n, len(images), count.Duplicates)
	}
	t.Logf("%d files, %d contents that were whole at some time, %d at the end; %d results", files, len(s.whole), len(s.final), len(images))
}

func TestFilesOfAnUnsteadyScanner(t *testing.T) { unsteady(t, 60) }

func TestTortureFilesOfAnUnsteadyScanner(t *testing.T) {
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("make torture runs it")
	}
	unsteady(t, 1000)
}
