package decode

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/image/tiff"

	"spinebox/internal/spine"
)

// TestMalformed is the short form of TestTortureMalformed.
func TestMalformed(t *testing.T) { malformed(t, 300) }

// TestTortureMalformed hands 10,000 malformed files to children: each gives a
// picture or a reason in time, no child takes more memory than it may, and this
// process goes on.
func TestTortureMalformed(t *testing.T) {
	if os.Getenv("SPINEBOX_TORTURE") == "" {
		t.Skip("a long test: make torture")
	}
	malformed(t, 10_000)
}

func malformed(t *testing.T, n int) {
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("SPINEBOX_SEED"), strconv.FormatInt(time.Now().UnixNano(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("SPINEBOX_SEED=%d", seed)
	o := options(t)
	o.Limit = 10 * time.Second
	d := open(t, o)
	var peak atomic.Int64
	d.ended = func(s *os.ProcessState) {
		for kilobytes := s.SysUsage().(*syscall.Rusage).Maxrss; ; {
			was := peak.Load()
			if kilobytes<<10 <= was || peak.CompareAndSwap(was, kilobytes<<10) {
				return
			}
		}
	}
	originals := originals(t)
	random := rand.New(rand.NewPCG(seed, 0))
	fixed := bombs(t)
	var next sync.Mutex
	made := 0
	make := func() (int, []byte) {
		next.Lock()
		defer next.Unlock()
		made++
		if made <= len(fixed) {
			return made, fixed[made-1]
		}
		return made, mutate(random, originals)
	}
	var outcomes [4]atomic.Int64
	var slowest atomic.Int64
	var group sync.WaitGroup
	path := t.TempDir()
	for range 2 {
		group.Go(func() {
			for {
				i, content := make()
				if i > n {
					return
				}
				file := filepath.Join(path, strconv.Itoa(i))
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Error(err)
					return
				}
				began := time.Now()
				p, err := d.Decode(t.Context(), file)
				took := time.Since(began)
				for was := slowest.Load(); int64(took) > was && !slowest.CompareAndSwap(was, int64(took)); was = slowest.Load() {
				}
				switch code := spine.CodeOf(err); {
				case err == nil && p.Width*p.Height == len(p.Pix) && len(p.Pix) > 0:
					outcomes[0].Add(1)
				case code == spine.Unsupported:
					outcomes[1].Add(1)
				case code == spine.Corrupt:
					outcomes[2].Add(1)
				case code == spine.Timeout:
					outcomes[3].Add(1)
				default:
					kept := filepath.Join(os.TempDir(), "spinebox-malformed-"+strconv.Itoa(i))
					t.Errorf("file %d, kept as %s: %v", i, kept, err)
					if err := os.WriteFile(kept, content, 0o600); err != nil {
						t.Error(err)
					}
				}
				if err := os.Remove(file); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	d.Close()
	t.Logf("%d files: %d pictures, %d unsupported, %d corrupt, %d too slow; the slowest took %.1f s; no child above %d MB",
		n, outcomes[0].Load(), outcomes[1].Load(), outcomes[2].Load(), outcomes[3].Load(), time.Duration(slowest.Load()).Seconds(), peak.Load()>>20)
	// A child begins with this process's own peak to its name: that is no
	// measure of the child.
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		t.Fatal(err)
	}
	if peak.Load() >= 512<<20 && peak.Load() > own.Maxrss<<10 {
		t.Errorf("a child took %d MB", peak.Load()>>20)
	}
	// A machine that is busy may be late with everything; a minute is no limit
	// at all.
	if took := time.Duration(slowest.Load()); took > time.Minute {
		t.Errorf("a file took %s", took)
	}
}

// originals are sound files of all kinds: pydicom's, and a few made ones.
func originals(t *testing.T) [][]byte {
	var all [][]byte
	for _, path := range pydicomFiles(t) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1<<20 {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	colours := image.NewNRGBA(image.Rect(0, 0, 97, 61))
	for i := range colours.Pix {
		colours.Pix[i] = byte(i * 7)
	}
	var jpg, coloured, whole bytes.Buffer
	grey := image.NewGray16(image.Rect(0, 0, 80, 60))
	grey.SetGray16(3, 4, color.Gray16{Y: 50_000})
	for _, err := range []error{
		jpeg.Encode(&jpg, grey, nil), jpeg.Encode(&coloured, colours, nil),
		tiff.Encode(&whole, grey, &tiff.Options{Compression: tiff.Deflate}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// As often as DICOM, together.
	for range 50 {
		all = append(all, jpg.Bytes(), coloured.Bytes(), whole.Bytes(), pngOf(t, 90, 70))
	}
	return all
}

// mutate damages one of the originals in one to four ways.
func mutate(r *rand.Rand, originals [][]byte) []byte {
	b := bytes.Clone(originals[r.IntN(len(originals))])
	interesting := [][]byte{
		{0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0}, {0xff, 0xff}, {0, 0}, {0x7f, 0xff, 0xff, 0xff}, {0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0},
		{0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff}, []byte("SQ\x00\x00\xff\xff\xff\xff"), {0xff, 0xd9}, {0xff, 0xda}, {0x80}, {0xe0, 0x7f, 0x10, 0x00},
	}
	for range 1 + r.IntN(4) {
		if len(b) < 8 {
			return b
		}
		at := r.IntN(len(b))
		if r.IntN(2) == 0 { // headers are where it hurts
			at = r.IntN(min(len(b), 1024))
		}
		switch r.IntN(7) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.IntN(256))
		case 2:
			b = b[:at]
		case 3:
			copy(b[at:], interesting[r.IntN(len(interesting))])
		case 4: // a piece of it again
			from := r.IntN(len(b))
			piece := bytes.Clone(b[from:min(len(b), from+r.IntN(4096))])
			b = append(append(bytes.Clone(b[:at]), piece...), b[at:]...)
		case 5: // a piece of another
			other := originals[r.IntN(len(originals))]
			if len(other) > 0 {
				from := r.IntN(len(other))
				copy(b[at:], other[from:min(len(other), from+r.IntN(2048))])
			}
		case 6: // another transfer syntax
			syntaxes := []string{"1.2", "1.2.1", "1.2.2", "1.2.1.99", "1.2.5", "1.2.4.50", "1.2.4.51", "1.2.4.57", "1.2.4.70", "1.2.4.80", "1.2.4.81", "1.2.4.90", "1.2.4.91"}
			const root = "1.2.840.10008."
			if i := bytes.Index(b, []byte("\x02\x00\x10\x00UI")); i > 0 && i+8 < len(b) {
				n := int(b[i+6])
				if i+8+n <= len(b) {
					value := make([]byte, n)
					copy(value, root+syntaxes[r.IntN(len(syntaxes))])
					copy(b[i+8:], value)
				}
			}
		}
	}
	return b
}

// bombs are small files that ask for a great deal.
func bombs(t *testing.T) [][]byte {
	var all [][]byte
	// PNGs that say 6000 by 6000, and 60000 by 60000, of nothing.
	png := pngOf(t, 16, 16)
	for _, side := range []uint32{6000, 60_000} {
		b := bytes.Clone(png)
		binary.BigEndian.PutUint32(b[16:], side)
		binary.BigEndian.PutUint32(b[20:], side)
		binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
		all = append(all, b)
	}
	// One of 36 megapixels that is all there: 35 kB, 72 MB when unpacked.
	all = append(all, pngOf(t, 6000, 6000))
	// JPEGs, baseline and progressive.
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, image.NewYCbCr(image.Rect(0, 0, 16, 16), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	start := bytes.Index(jpg.Bytes(), []byte{0xff, 0xc0})
	for _, marker := range []byte{0xc0, 0xc2} {
		for _, side := range []uint16{6000, 65_000} {
			b := bytes.Clone(jpg.Bytes())
			b[start+1] = marker
			binary.BigEndian.PutUint16(b[start+5:], side)
			binary.BigEndian.PutUint16(b[start+7:], side)
			// Enough behind it that its size is no reason to refuse it.
			all = append(all, b, append(bytes.Clone(b[:len(b)-2]), append(bytes.Repeat([]byte{0x55}, 100_000), 0xff, 0xd9)...))
		}
	}
	// Deflated DICOM: 200 MB of zeros in 200 kB.
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 200 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	uid := "1.2.840.10008.1.2.1.99"
	deflated := append(make([]byte, 128), "DICM\x02\x00\x10\x00UI\x16\x00"+uid...)
	all = append(all, append(deflated, packed.Bytes()...))
	// Sequences within sequences.
	deep := append(make([]byte, 128), "DICM\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"...)
	for range 100_000 {
		deep = append(deep, "\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"...)
	}
	return append(all, deep, nil, []byte{0xff, 0xd8, 0xff}, []byte("DICM"))
}

// asParent in the environment makes the test binary a box that opens a decoder
// and waits.
const asParent = "SPINEBOX_TEST_PARENT"

func waitAsParent(program string) {
	o := Options{Program: program, Bytes: 1 << 20, Pixels: 1 << 20, Memory: 256 << 20, Limit: time.Minute}
	d, err := Open(o)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	c := <-d.ready
	fmt.Println(c.process.Pid)
	select {}
}

// When the box dies, however it does, its children die.
func TestParentDies(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asParent+"="+program)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(state, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the child lives on: %s", state)
		}
	}
}

// A child that takes too long loses its file, and the next one gets the next.
func TestTimeLimit(t *testing.T) {
	o := options(t)
	o.Limit = time.Millisecond
	d := open(t, o)
	if _, err := d.Decode(t.Context(), writeFile(t, "large.png", pngOf(t, 1500, 1500))); spine.CodeOf(err) != spine.Timeout {
		t.Errorf("%v", err)
	}
	d = open(t, options(t))
	if _, err := d.Decode(t.Context(), writeFile(t, "small.png", pngOf(t, 40, 40))); err != nil {
		t.Errorf("%v", err)
	}
}

// How a child ended decides about its file.
func TestCrashed(t *testing.T) {
	for script, want := range map[string]spine.Code{
		"kill -SEGV $$": spine.Corrupt, "exit 2": spine.Corrupt, "kill -KILL $$": spine.Timeout,
	} {
		command := exec.Command("sh", "-c", script)
		_ = command.Run()
		if err := crashed(command.ProcessState); spine.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", script, err, want)
		}
	}
}
