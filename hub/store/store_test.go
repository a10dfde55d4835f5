package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"spinebox/internal/spine"
	"spinebox/sync/wire"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// result makes the message of one attempt at one image.
func result(name string, attempt int, label spine.Label) wire.Result {
	sum := sha256.Sum256([]byte(name))
	digest := hex.EncodeToString(sum[:])
	return wire.NewResult(wire.Origin{Site: "north", Device: "box-1"}, &spine.Image{
		Digest: digest, Sequence: 1, Attempt: attempt,
		Decision: spine.Decision{Outcome: spine.Classified, Label: label},
		Readings: []spine.Reading{{
			Model:  spine.ModelID{Name: "m", Version: "1", Digest: digest},
			Labels: spine.Labels(), Probabilities: []float64{0.25, 0.25, 0.5}, Label: label,
		}},
		Finished: noon,
	}, digest)
}

type hub struct {
	*Store
	t   *testing.T
	dir string
	log *bytes.Buffer
}

func open(t *testing.T, dir string) *hub {
	t.Helper()
	log := new(bytes.Buffer)
	s, err := Open(dir, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &hub{s, t, dir, log}
}

func (h *hub) append(results ...wire.Result) []bool {
	h.t.Helper()
	fresh, err := h.Append(results, noon)
	if err != nil {
		h.t.Fatal(err)
	}
	return fresh
}

// current lists what Current says, as "image attempt label", in short.
func (h *hub) current() []string {
	h.t.Helper()
	all := []string{}
	err := Current(h.dir, slog.New(slog.NewTextHandler(h.log, nil)), func(e Entry) error {
		if !e.Received.Equal(noon) {
			h.t.Errorf("received at %s", e.Received)
		}
		all = append(all, fmt.Sprint(e.Result.Image[:4], " ", e.Result.Attempt, " ", e.Result.Label))
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func (h *hub) path() string { return filepath.Join(h.dir, FileName) }

func expect[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func short(r wire.Result) string { return fmt.Sprint(r.Image[:4], " ", r.Attempt, " ", r.Label) }

func TestAppendKeepsEachResultOnce(t *testing.T) {
	a, b := result("a", 1, spine.Normal), result("b", 1, spine.Scoliosis)
	late := a
	late.Historical, late.Sequence = true, 99
	h := open(t, t.TempDir())
	expect(t, "fresh", []bool{true, true, false}, h.append(a, b, a))
	expect(t, "fresh again", []bool{false, false}, h.append(b, late))
	h.Close()
	h = open(t, h.dir)
	expect(t, "fresh after a restart", []bool{false}, h.append(a))
	expect(t, "current", []string{short(a), short(b)}, h.current())
	expect(t, "log", "", h.log.String())
	text, err := os.ReadFile(h.path())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "lines", 2, bytes.Count(text, []byte("\n")))
}

func TestTheSameResultSayingSomethingElse(t *testing.T) {
	h := open(t, t.TempDir())
	a, other := result("a", 1, spine.Normal), result("a", 1, spine.Scoliosis)
	h.append(a)
	expect(t, "fresh", []bool{false}, h.append(other))
	expect(t, "current", []string{short(a)}, h.current())
	if !strings.Contains(h.log.String(), "says something else") {
		t.Errorf("log: %s", h.log)
	}
}

// Whatever the order of arrival, the later attempt is the current one.
func TestALaterAttemptSupersedes(t *testing.T) {
	first, second := result("a", 1, spine.Normal), result("a", 2, spine.Scoliosis)
	second.Finished.Time = noon.Add(-time.Hour) // a clock that was set back
	b := result("b", 1, spine.Normal)
	h := open(t, t.TempDir())
	h.append(first, b, second)
	expect(t, "current", []string{short(b), short(second)}, h.current())
	h = open(t, t.TempDir())
	h.append(second, b, first)
	expect(t, "current, arrived the other way round", []string{short(second), short(b)}, h.current())
}

func TestTornLastWriteIsCutOff(t *testing.T) {
	a, b := result("a", 1, spine.Normal), result("b", 1, spine.Normal)
	whole := open(t, t.TempDir())
	whole.append(a, b)
	whole.Close()
	text, err := os.ReadFile(whole.path())
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(text, '\n') + 1
	for name, torn := range map[string][]byte{
		"half a line":               text[:first+100],
		"a line without its end":    text[:len(text)-1],
		"zeros instead of the line": append(bytes.Clone(text[:first]), make([]byte, 5000)...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, FileName), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			h := &hub{t: t, dir: dir, log: new(bytes.Buffer)}
			expect(t, "current before", []string{short(a)}, h.current())
			h = open(t, dir)
			if !strings.Contains(h.log.String(), "cut off") {
				t.Errorf("log: %s", h.log)
			}
			expect(t, "fresh", []bool{false, true}, h.append(a, b))
			got, err := os.ReadFile(h.path())
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "file", string(text), string(got))
		})
	}
}

func TestDamagedLineLosesNoOther(t *testing.T) {
	a, b, c := result("a", 1, spine.Normal), result("b", 1, spine.Normal), result("c", 1, spine.Normal)
	h := open(t, t.TempDir())
	h.append(a, b, c)
	h.Close()
	text, err := os.ReadFile(h.path())
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] = 0 // in the line of b
	if err := os.WriteFile(h.path(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	h = open(t, h.dir)
	if !strings.Contains(h.log.String(), "lines=[2]") {
		t.Errorf("log: %s", h.log)
	}
	expect(t, "current", []string{short(a), short(c)}, h.current())
	expect(t, "fresh", []bool{false, true, false}, h.append(a, b, c))
}

// Whole lines that cannot be read stay, also at the end: they may be a newer
// spinehub's, and had their receipts.
func TestDamagedLastLinesAreKept(t *testing.T) {
	a, b := result("a", 1, spine.Normal), result("b", 1, spine.Normal)
	h := open(t, t.TempDir())
	h.append(a)
	h.Close()
	text, err := os.ReadFile(h.path())
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(text)
	flipped[len(flipped)/2] ^= 0x80
	newer := bytes.Replace(text, []byte("spinebox.result.v1"), []byte("spinebox.result.v2"), 1)
	long := append(bytes.Repeat([]byte{'x'}, 5*maxLine), '\n')
	// The end of a line that is too long is no line, whatever it says and
	// wherever the reader's buffer ends.
	hidden := append(bytes.Repeat([]byte{'x'}, 4*maxLine), text...)
	kept := slices.Concat(text, flipped, newer, long, hidden)
	if err := os.WriteFile(h.path(), slices.Concat(kept, text[:100]), 0o600); err != nil {
		t.Fatal(err)
	}

	h.log.Reset()
	expect(t, "current", []string{short(a)}, h.current())
	expect(t, "times reported", 1, strings.Count(h.log.String(), `lines="[2 3 4 5]"`))
	h = open(t, h.dir)
	for _, want := range []string{`lines="[2 3 4 5]"`, "cut off", "bytes=100"} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("no %s in the log: %s", want, h.log)
		}
	}
	expect(t, "fresh", []bool{false, true}, h.append(a, b))
	got, err := os.ReadFile(h.path())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(got, kept) || bytes.Count(got[len(kept):], []byte("\n")) != 1 {
		t.Error("the damaged lines are not as they were, with one line after them")
	}
	h.Close()
	h = open(t, h.dir)
	expect(t, "fresh after a restart", []bool{false, false}, h.append(a, b))
	expect(t, "current after a restart", []string{short(a), short(b)}, h.current())
}

func TestOnlyOneTornLineIsCutOff(t *testing.T) {
	a := result("a", 1, spine.Normal)
	whole := open(t, t.TempDir())
	whole.append(a)
	whole.Close()
	text, err := os.ReadFile(whole.path())
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{t: t, dir: t.TempDir(), log: new(bytes.Buffer)}
	write := func(tail int) []byte {
		all := append(bytes.Clone(text), make([]byte, tail)...)
		if err := os.WriteFile(h.path(), all, 0o600); err != nil {
			t.Fatal(err)
		}
		return all
	}
	read := func() string {
		got, err := os.ReadFile(h.path())
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}

	write(maxLine)
	open(t, h.dir).Close()
	if read() != string(text) {
		t.Error("a torn line was not cut off")
	}

	all := write(maxLine + 1)
	_, err = Open(h.dir, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "`echo >> "+h.path()+"`") {
		t.Errorf("more than a torn line: %v", err)
	}
	if read() != string(all) {
		t.Error("a store that was refused is not as it was")
	}
	expect(t, "current", []string{short(a)}, h.current())
	if !strings.Contains(h.log.String(), "follow the last line feed") {
		t.Errorf("log: %s", h.log)
	}

	// What the error says to do helps.
	if err := os.WriteFile(h.path(), append(all, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, "fresh", []bool{false}, open(t, h.dir).append(a))
}

func TestOneWriter(t *testing.T) {
	h := open(t, t.TempDir())
	if _, err := Open(h.dir, slog.Default()); !errors.Is(err, ErrInUse) {
		t.Errorf("a second hub: %v", err)
	}
}

// A file that cannot grow stands in for a full disk.
func TestFailedWriteLeavesTheStoreAsItWas(t *testing.T) {
	h := open(t, t.TempDir())
	a, b := result("a", 1, spine.Normal), result("b", 1, spine.Normal)
	h.append(a)
	writable := h.file
	readOnly, err := os.Open(h.path())
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	h.file = readOnly
	if _, err := h.Append([]wire.Result{b}, noon); err == nil {
		t.Fatal("a write to a read-only file succeeded")
	}
	// Not even the cut worked, so nobody knows what the file holds.
	if _, err := h.Append([]wire.Result{a}, noon); !errors.Is(err, ErrLost) {
		t.Errorf("after a write that could not be undone: %v", err)
	}
	h.file = writable
	h.Close()
	h = open(t, h.dir)
	expect(t, "fresh", []bool{false, true}, h.append(a, b))
}

func TestCurrentOfNothing(t *testing.T) {
	if err := Current(t.TempDir(), slog.Default(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no store: %v", err)
	}
}
