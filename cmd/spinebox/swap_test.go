package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"spinebox/internal/spine"
	"spinebox/models/modeltest"
	"spinebox/models/nets"
	"spinebox/models/slots"
)

// swaps is a running box with two installed models, one of them active.
type swaps struct {
	*rig
	box    *process
	models [2]string // digests
	active int
	files  int
}

func newSwaps(t *testing.T, a nets.Architecture, height, width int) *swaps {
	s := &swaps{rig: newRig(t, "")}
	s.rig.models, s.debug = "{allow_unsigned: true}", true
	s.configure("")
	store := slots.Open(filepath.Join(s.path("data"), "models"))
	for i := range s.models {
		dir := s.path(fmt.Sprintf("model-%d", i))
		s.must(os.MkdirAll(dir, 0o755))
		s.must(writeGolden(dir, fmt.Sprint(i+1), a, height, width))
		d, err := store.Install(dir)
		s.must(err)
		s.models[i] = d.Digest()
		s.must(os.RemoveAll(dir))
	}
	s.must(store.Activate(slots.First, s.models[0]))
	s.box = s.serve(append([]string{"env"}, unitEnvironment(t)...)...)
	s.until(s.box, "it is ready", func(st spine.Status) bool { return s.uses(st, 0) && st.Shares["scanner"].Online })
	libraries, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", s.box.Process.Pid))
	s.must(err)
	if !strings.Contains(string(libraries), "/libjemalloc.so.2") {
		absent := t.Skip
		if os.Getenv("CI") == "true" {
			absent = t.Fatal
		}
		absent("libjemalloc2, which the service's unit names, is not installed (scripts/test-tools)")
	}
	return s
}

// unitEnvironment is what the service's unit adds to its environment: how it
// keeps its memory.
func unitEnvironment(t *testing.T) (assignments []string) {
	for _, m := range regexp.MustCompile(`(?m)^Environment=(.+)$`).FindAllStringSubmatch(readText(t, "../../systemd/spinebox.service"), -1) {
		assignments = append(assignments, m[1])
	}
	if len(assignments) == 0 {
		t.Fatal("the unit has no environment")
	}
	return assignments
}

func (s *swaps) uses(st spine.Status, model int) bool {
	return st.Ready && len(st.Models) == 1 && st.Models[0].Digest == s.models[model]
}

// come lets one more file come to the share.
func (s *swaps) come() {
	content, err := makePicture("grey", uint64(s.files))
	s.must(err)
	s.drop(fmt.Sprintf("%d.png", s.files), content)
	s.files++
}

// swap activates the other model, and returns when the former one is closed.
func (s *swaps) swap(count int) {
	s.t.Helper()
	s.active = 1 - s.active
	var done struct{}
	s.must(ask(context.Background(), s.path("data"), "model/activate", activation{slots.First, s.models[s.active]}, &done))
	for end := time.Now().Add(time.Minute); strings.Count(s.box.log.String(), "the former model is closed") < count; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("the former model was not closed within a minute\n%s", s.box.log)
		}
	}
}

// read waits until so many more images have been read. What a reading needs stays
// with the process until the next swap gives it back: without a reading between
// them, two looks at its memory see two different things.
func (s *swaps) read(images int) {
	s.t.Helper()
	settled := func() int { return strings.Count(s.box.log.String(), `msg="an image is settled"`) }
	want := settled() + images
	for end := time.Now().Add(time.Minute); settled() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("no image was read within a minute\n%s", s.box.log)
		}
	}
}

// settled waits until every file has its answer, and none has two.
func (s *swaps) settled() {
	s.t.Helper()
	s.until(s.box, "every file has its answer", func(st spine.Status) bool {
		return st.Classified >= uint64(s.files) && !st.Busy
	})
	st, err := s.status()
	s.must(err)
	if st.Classified != uint64(s.files) || st.Failed+st.Refused+st.Duplicates != 0 {
		s.t.Errorf("%d files came; the status is %+v", s.files, st)
	}
}

// Files keep coming while one model takes another's place again and again: each
// has one answer, and the model that is active at the end is found after a
// restart.
func TestSwapsWhileFilesCome(t *testing.T) {
	s := newSwaps(t, nets.Tiny, modeltest.Height, modeltest.Width)
	for i := range 5 {
		for range 3 {
			s.come()
		}
		s.swap(i + 1)
		s.until(s.box, "the other model answers", func(st spine.Status) bool { return s.uses(st, s.active) })
	}
	s.settled()
	for path, want := range map[string]string{
		"/livez": `"alive":true`, "/metrics": fmt.Sprintf(`digest="%s"`, s.models[s.active]),
		"/readyz": `{"name":"model","ok":true,"needed":true,"detail":"it gave a known answer at `,
	} {
		if code, body := s.get(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s answers %d: %s", path, code, body)
		}
	}
	var done struct{}
	if err := ask(t.Context(), s.path("data"), "model/activate", activation{slots.First, strings.Repeat("0", 64)}, &done); err == nil {
		t.Error("a model that is not installed is activated")
	}
	s.must(s.box.end())
	s.box = s.serve()
	s.until(s.box, "the active model is back", func(st spine.Status) bool { return s.uses(st, s.active) })
	s.come()
	s.settled()
	s.must(s.box.end())
}

// get asks the service over its room's page's address.
func (s *swaps) get(path string) (code int, body string) {
	s.t.Helper()
	response, err := http.Get("http://" + s.kiosk + path)
	s.must(err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	s.must(err)
	return response.StatusCode, string(raw)
}

var timed = regexp.MustCompile(`msg="an image is settled".* infer_ms=([\d.e+-]+) total_ms=([\d.e+-]+)`)

// timings returns what the log says of each image so far: milliseconds in the
// network, and from its copy on the disk to its answer.
func (s *swaps) timings() (infer, total []float64) {
	for _, m := range timed.FindAllStringSubmatch(s.box.log.String(), -1) {
		i, err1 := strconv.ParseFloat(m[1], 64)
		a, err2 := strconv.ParseFloat(m[2], 64)
		s.must(err1)
		s.must(err2)
		infer, total = append(infer, i), append(total, a)
	}
	return infer, total
}

var anonymous = regexp.MustCompile(`(?m)^RssAnon:\s+(\d+) kB$`)

// resident is the least of five looks at the service's resident memory, in MB, a
// while after the last picture: what one took goes back 0.3 s after it. TensorFlow's
// library, which the kernel takes out of memory and brings back as others need room,
// does not count.
func (s *swaps) resident() float64 {
	least := math.Inf(1)
	time.Sleep(500 * time.Millisecond)
	for range 5 {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.box.Process.Pid))
		s.must(err)
		found := anonymous.FindSubmatch(raw)
		if found == nil {
			s.t.Fatalf("the service's memory is not said: %s", raw)
		}
		kilobytes, err := strconv.Atoi(string(found[1]))
		s.must(err)
		least = min(least, float64(kilobytes)*1024/1e6)
		time.Sleep(100 * time.Millisecond)
	}
	return least
}

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// B11: 50 swaps of a real network while X-rays come. Resident memory stays
// within 5 % of that after the third, and no image is lost or late by more than
// two inferences. Run it on a machine that does nothing else.
func TestTortureSwaps(t *testing.T) {
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("long: SPINEBOX_TORTURE=1, or make torture")
	}
	count := 50
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newSwaps(t, nets.ResNet50, 224, 224)
	// The next image comes some time after the last one's answer, so that none
	// waits for another: what makes it late is the swap.
	stop, stopped := make(chan struct{}), make(chan struct{})
	var coming sync.Mutex // none comes while memory is looked at
	stream := func() {
		defer close(stopped)
		for {
			coming.Lock()
			s.come()
			for strings.Count(s.box.log.String(), `msg="an image is settled"`) < s.files {
				time.Sleep(5 * time.Millisecond)
			}
			coming.Unlock()
			select {
			case <-time.After(time.Duration(random.IntN(200)) * time.Millisecond):
			case <-stop:
				return
			}
		}
	}
	// What the service takes in its first minutes, whatever becomes of models: the
	// ledger's two tables in memory, 4 MB each, are full once.
	const flood = 800
	for range flood {
		s.come()
	}
	s.settled()
	for range 40 { // alone, for comparison
		s.come()
		s.settled()
	}
	aloneInfer, aloneTotal := s.timings()
	inference, usual := median(aloneInfer[flood:]), median(aloneTotal[flood:])

	go stream()
	var memory []float64
	for i := range count {
		s.swap(i + 1)
		s.read(2)
		coming.Lock()
		memory = append(memory, s.resident())
		coming.Unlock()
	}
	close(stop)
	<-stopped
	s.settled()
	_, total := s.timings()
	total = total[len(aloneTotal):]
	late := (slices.Max(total) - usual) / inference
	worst := slices.Index(total, slices.Max(total))
	t.Logf("the latest image: %s", timed.FindAllString(s.box.log.String(), -1)[len(aloneTotal)+worst])
	third := memory[2]
	t.Logf("%d swaps, %d images meanwhile; an inference takes %.1f ms, an image %.1f ms alone (%.1f at most), %.1f ms (median) and %.1f ms at most while models are swapped: late by %.1f inferences",
		count, len(total), inference, usual, slices.Max(aloneTotal[flood:]), median(total), slices.Max(total), late)
	t.Logf("resident: %.0f MB after the third swap, then %.0f to %.0f, %.0f MB at last; medians of ten: %.0f MB after the third, %.0f MB at last",
		third, slices.Min(memory[3:]), slices.Max(memory[3:]), memory[count-1], median(memory[3:13]), median(memory[count-10:]))
	if late > 2 {
		t.Errorf("an image was late by %.1f inferences", late)
	}
	if grown := slices.Max(memory[3:])/third - 1; grown > 0.05 {
		t.Errorf("resident memory has grown by %.1f %% since the third swap", 100*grown)
	}
	s.must(s.box.end())
}
