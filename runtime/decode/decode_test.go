package decode

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"spinebox/internal/spine"
	"spinebox/runtime/decode/decodetest"
	"spinebox/runtime/xray"
)

// program is spinebox-decode, built once.
var program string

func TestMain(m *testing.M) {
	if program := os.Getenv(asParent); program != "" {
		waitAsParent(program)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "spinebox-decode")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if program, err = decodetest.Build(dir); err != nil {
			log.Fatal(err)
		}
		return m.Run()
	}())
}

func options(t testing.TB) Options {
	t.Helper()
	return Options{
		Program: program, Bytes: 256 << 20, Pixels: 40e6, Memory: 512 << 20,
		Limit: 60 * time.Second, Converter: "/usr/bin/gdcmconv", Log: slog.New(slog.DiscardHandler),
	}
}

func open(t testing.TB, o Options) *Decoder {
	t.Helper()
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pngOf(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewGray16(image.Rect(0, 0, w, h))
	for i := range min(len(img.Pix), 1<<20) { // the rest is black, or making it takes longest
		img.Pix[i] = byte(i*i>>8 + i)
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A child gives what decoding in the process itself gives.
func TestDecode(t *testing.T) {
	d := open(t, options(t))
	if r := d.Confined(); r.Landlock == 0 || !r.Seccomp {
		t.Logf("this kernel holds the children by less than there is: %+v", r)
	}
	for _, size := range [][2]int{{1, 1}, {300, 200}, {1200, 1700}} {
		path := writeFile(t, "a.png", pngOf(t, size[0], size[1]))
		want, err := xray.Decode(path, xray.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Decode(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Width != want.Width || got.Height != want.Height || got.Facts != want.Facts || !slices.Equal(got.Pix, want.Pix) {
			t.Errorf("%v: another picture: %dx%d, %+v", size, got.Width, got.Height, got.Facts)
		}
	}
}

func TestRefusals(t *testing.T) {
	d := open(t, options(t))
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := pngOf(t, 300, 200)
	for path, want := range map[string]spine.Code{
		writeFile(t, "a", whole[:len(whole)/2]): spine.Corrupt,
		writeFile(t, "b", nil):                  spine.Corrupt,
		writeFile(t, "c", []byte("GIF89a....")): spine.Unsupported,
		fifo:                                    spine.Corrupt,
		t.TempDir():                             spine.Corrupt,
	} {
		if _, err := d.Decode(t.Context(), path); spine.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", filepath.Base(path), err, want)
		}
	}
	if _, err := d.Decode(t.Context(), "/does/not/exist"); spine.CodeOf(err) != spine.Internal || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Without its program there is a clear error, at once.
func TestNoProgram(t *testing.T) {
	o := options(t)
	o.Program = filepath.Join(t.TempDir(), Program)
	if _, err := Open(o); !errors.Is(err, ErrNoProgram) {
		t.Error(err)
	}
	// One that is no child of ours does not start either.
	o.Program = "/bin/true"
	if _, err := Open(o); err == nil {
		t.Error("/bin/true passes for a decoder")
	}
}

// A program that is replaced while the box runs is the box's trouble, and no
// word about the files; it heals by itself.
func TestAProgramThatGoesIsTheBoxsTrouble(t *testing.T) {
	o := options(t)
	own, err := os.ReadFile(o.Program)
	if err != nil {
		t.Fatal(err)
	}
	o.Program = filepath.Join(t.TempDir(), Program)
	install := func() {
		if err := os.WriteFile(o.Program+".new", own, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(o.Program+".new", o.Program); err != nil {
			t.Fatal(err)
		}
	}
	install()
	d := open(t, o)
	path := writeFile(t, "a.png", pngOf(t, 30, 20))
	if err := os.Remove(o.Program); err != nil {
		t.Fatal(err)
	}
	for range 2 { // children that were started before serve one each
		_, _ = d.Decode(t.Context(), path)
	}
	if _, err := d.Decode(t.Context(), path); !errors.Is(err, spine.ErrBox) {
		t.Errorf("without its program: %v", err)
	}
	install()
	for range 3 { // starts that failed are in line
		_, err = d.Decode(t.Context(), path)
	}
	if err != nil {
		t.Errorf("with its program back: %v", err)
	}
}

// Children that die while they wait cost no file.
func TestWaitingChildDies(t *testing.T) {
	d := open(t, options(t))
	path := writeFile(t, "a.png", pngOf(t, 30, 20))
	for range 3 {
		c := <-d.ready
		err := c.process.Kill()
		for ; errors.Is(err, os.ErrProcessDone); err = c.process.Kill() {
			c = <-d.ready // that one died in an earlier round, and waited still
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.process.Wait(); err != nil {
			t.Fatal(err)
		}
		go func() { d.ready <- c }()
		if _, err := d.Decode(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcurrently(t *testing.T) {
	d := open(t, options(t))
	var group sync.WaitGroup
	for i := range 20 {
		path := writeFile(t, "a.png", pngOf(t, 30+i, 20))
		group.Go(func() {
			if p, err := d.Decode(t.Context(), path); err != nil || p.Width != 30+i {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	group.Wait()
}

// One memory limit holds for a file that asks for more than its share.
func TestMemory(t *testing.T) {
	o := options(t)
	o.Memory = 128 << 20
	d := open(t, o)
	_, err := d.Decode(t.Context(), writeFile(t, "large.png", pngOf(t, 4500, 4500)))
	if code := spine.CodeOf(err); code != spine.Corrupt && code != spine.Unsupported {
		t.Errorf("%v", err)
	}
	if _, err := d.Decode(t.Context(), writeFile(t, "small.png", pngOf(t, 50, 50))); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
