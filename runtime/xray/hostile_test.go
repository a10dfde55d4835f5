package xray

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/image/tiff"

	"spinebox/internal/spine"
)

// wholeFiles are complete files of every kind that is read, and some kinds that
// are refused, by name.
func wholeFiles(t testing.TB) map[string][]byte {
	codes := make([]int, 40*30)
	for i := range codes {
		codes[i] = i * 3
	}
	jpg := jpegOf(t, gradient8(120, 90))
	trailing := slices.Concat(makeDICOM(explicitLE, greyDICOM(explicitLE, 40, 30, 12, codes)...), explicitLE.element(nil, dcm{0xfffc_fffc, "OB", raw{0, 0}}))
	sequence := dcm{0x0008_1140, "SQ", openItem{{0x0008_1150, "UI", "1.2"}}}
	table := dcm{tagVOILUT, "SQ", item{{tagLUTDescriptor, "US", []int{3, 10, 10}}, {tagLUTData, "OW", []int{0, 511, 1023}}}}
	compressed := explicitLE
	compressed.uid = "1.2.840.10008.1.2.4.50"
	return map[string][]byte{
		"JPEG":                  jpg,
		"JPEG with EXIF":        withEXIF(jpg, binary.BigEndian, 6),
		"JPEG with more behind": append(slices.Clone(jpg), "MotionPhoto and zeros\x00\x00"...),
		"PNG":                   pngOf(t, gradient8(120, 90)),
		"PNG, 16 bits":          pngOf(t, gradient16(60, 40)),
		"TIFF":                  tiffOf(t, gradient16(60, 40), tiff.Uncompressed),
		"TIFF, deflate":         tiffOf(t, gradient16(60, 40), tiff.Deflate),
		"TIFF, strips":          greyTIFF16(gradient16(60, 40), 1),
		"DICOM, explicit":       makeDICOM(explicitLE, greyDICOM(explicitLE, 40, 30, 12, codes, sequence, table)...),
		"DICOM, implicit":       makeDICOM(implicitLE, greyDICOM(implicitLE, 40, 30, 12, codes, sequence)...),
		"DICOM, big-endian":     makeDICOM(explicitBE, greyDICOM(explicitBE, 40, 30, 16, codes)...),
		"DICOM, 8 bits":         makeDICOM(explicitLE, greyDICOM(explicitLE, 41, 29, 8, codes[:41*29])...),
		"DICOM with more":       trailing,
		"DICOM, compressed":     makeDICOM(compressed, greyDICOM(compressed, 120, 90, 8, nil, dcm{tagPixels, "OB", fragment(jpg)})...),
	}
}

func isWhole(t testing.TB, b []byte) bool {
	t.Helper()
	whole, err := Whole(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("whole: %v", err)
	}
	return whole
}

// A file that ends anywhere before its end is not whole, and is corrupt, never
// part of a picture.
func TestTruncated(t *testing.T) {
	for name, b := range wholeFiles(t) {
		t.Run(name, func(t *testing.T) {
			if !isWhole(t, b) {
				t.Error("the whole file is not whole")
			}
			refused := spine.Code("")
			if _, err := decodeBytes(b); err != nil {
				if refused = spine.CodeOf(err); refused != spine.Unsupported {
					t.Fatal(err)
				}
			}
			end := len(b) // of what belongs to the picture
			switch name {
			case "JPEG with more behind":
				end -= len("MotionPhoto and zeros\x00\x00")
			case "DICOM with more":
				end -= 8 + 4 + 2
			case "DICOM, 8 bits":
				end-- // an odd picture's padding
			}
			cuts := []int{end - 1, end - 2, end - 3, end - 4, end - 8, end - 12, end - 13}
			for i := range 50 {
				cuts = append(cuts, i*end/50)
			}
			for n := range min(400, end) { // the headers, byte by byte
				cuts = append(cuts, n)
			}
			for _, n := range cuts {
				if name != "DICOM, 8 bits" || n < end {
					if isWhole(t, b[:n]) {
						t.Errorf("whole at %d of %d bytes", n, len(b))
					}
				}
				p, err := decodeBytes(b[:n])
				if err == nil {
					t.Errorf("decoded at %d of %d bytes: %dx%d", n, len(b), p.Width, p.Height)
				} else if c := spine.CodeOf(err); c != spine.Corrupt && c != refused && !betweenElements(b, n) {
					t.Errorf("at %d of %d bytes: %v", n, len(b), err)
				}
			}
		})
	}
}

// betweenElements reports whether the cut is right behind the sequence before a
// DICOM picture's description: what is left is a sound DICOM file without a
// picture, and nobody can tell that there was one.
func betweenElements(b []byte, n int) bool {
	return bytes.HasPrefix(b[n:], []byte("\x28\x00\x02\x00")) && bytes.Contains(b[:n], []byte("\x08\x00\x40\x11"))
}

// Some systems give a file its full length first and fill it afterwards.
func TestReservedButUnfilled(t *testing.T) {
	for _, name := range []string{"JPEG", "PNG", "TIFF", "TIFF, strips"} {
		b := wholeFiles(t)[name]
		for i := 1; i < 20; i++ {
			half := append(bytes.Clone(b[:i*len(b)/20]), make([]byte, len(b)-i*len(b)/20)...)
			if isWhole(t, half) {
				t.Errorf("%s: whole when filled to %d/20", name, i)
			}
		}
	}
}

// bombs are small files whose headers ask for a great deal.
func bombs(t testing.TB) map[string][]byte {
	jpg := jpegOf(t, gradient8(16, 16))
	start := bytes.Index(jpg, []byte{0xff, 0xc0})
	copy(jpg[start+5:], []byte{0xff, 0xf0, 0xff, 0xf0}) // 65520 by 65520
	progressive := bytes.Clone(jpg)
	progressive[start+1] = 0xc2
	within := bytes.Clone(progressive)
	copy(within[start+5:], []byte{0x17, 0x70, 0x17, 0x70}) // 6000 by 6000: within the limit

	small := pngOf(t, gradient8(16, 16))
	resize := func(side uint32) []byte {
		b := bytes.Clone(small)
		binary.BigEndian.PutUint32(b[16:], side)
		binary.BigEndian.PutUint32(b[20:], side)
		binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
		return b
	}
	size := func(side uint32) []tiffField {
		return []tiffField{{256, []uint32{side}}, {257, []uint32{side}}, {tagBitsPerSample, []uint32{16}}, {259, []uint32{5}}, {262, []uint32{1}}, {278, []uint32{side}}}
	}
	strips := makeTIFF(binary.LittleEndian, [][]byte{make([]byte, 16)}, size(16))
	at := bytes.Index(strips, []byte{0x11, 1, 4, 0}) // the strips' offsets: how many
	binary.LittleEndian.PutUint32(strips[at+4:], 0x3fff_ffff)

	long := greyDICOM(explicitLE, 3, 1, 12, []int{1, 2, 3})
	huge := makeDICOM(explicitLE, append(long, dcm{0x0009_1001, "OB", raw("x")})...)
	binary.LittleEndian.PutUint32(huge[bytes.Index(huge, []byte("\x09\x00\x01\x10OB"))+8:], 0xf000_0000)
	deep := makeDICOM(explicitLE)
	for range 100_000 {
		deep = explicitLE.tag(deep, 0x0008_1140)
		deep = append(deep, "SQ\x00\x00\xff\xff\xff\xff"...)
		deep = binary.LittleEndian.AppendUint32(explicitLE.tag(deep, tagItem), 0xffff_ffff)
	}
	return map[string][]byte{
		"JPEG of 4 gigapixels":            jpg,
		"progressive, of 4 gigapixels":    progressive,
		"progressive, of 36 megapixels":   within,
		"PNG of 2^62 pixels":              resize(1<<31 - 1),
		"PNG of 36 megapixels":            resize(6000),
		"TIFF of 2^64 pixels":             makeTIFF(binary.LittleEndian, [][]byte{make([]byte, 16)}, size(0xffff_ffff)),
		"TIFF of 36 megapixels":           makeTIFF(binary.LittleEndian, [][]byte{make([]byte, 16)}, size(6000)),
		"TIFF of 2^30 strips":             strips,
		"DICOM of 4 gigapixels":           makeDICOM(explicitLE, greyDICOM(explicitLE, 65535, 65535, 16, []int{1, 2, 3})...),
		"DICOM of 36 megapixels":          makeDICOM(explicitLE, greyDICOM(explicitLE, 6000, 6000, 16, []int{1, 2, 3})...),
		"DICOM with an endless element":   huge,
		"DICOM of endless nesting":        deep,
		"DICOM with a table of nothing":   makeDICOM(explicitLE, greyDICOM(explicitLE, 3, 1, 12, []int{1, 2, 3}, dcm{tagVOILUT, "SQ", item{{tagLUTDescriptor, "US", []int{0, 0, 16}}, {tagLUTData, "OW", []int{1}}}})...),
		"DICOM with a million delimiters": makeDICOM(explicitLE, dcm{0x0009_1001, "OB", fragment(bytes.Repeat([]byte{0xfe, 0xff, 0xdd, 0xe0}, 1000))}),
	}
}

// TestBombs measures what is allocated: not more than a few times the file's
// own size and a fixed amount.
func TestBombs(t *testing.T) {
	for name, b := range bombs(t) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p, err := decodeBytes(b)
			isWhole(t, b)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("decoded to %dx%d", p.Width, p.Height)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
				t.Errorf("%d bytes of file allocate %d: %v", len(b), got, err)
			}
		})
	}
}

// counter counts the bytes read, of a file that is zero beyond its head.
type counter struct {
	head []byte
	read int64
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.read += int64(len(p))
	clear(p)
	if off < int64(len(c.head)) {
		copy(p, c.head[off:])
	}
	return len(p), nil
}

// Whole looks at headers, not at sixty megabytes of pixels, over a network.
func TestWholeReadsLittle(t *testing.T) {
	pixels := uint32(60 << 20)
	d := makeDICOM(explicitLE, greyDICOM(explicitLE, 6000, 5000, 16, nil)...)
	binary.LittleEndian.PutUint32(d[len(d)-4:], pixels)
	p := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 0)
	p = append(p, "IHDR\x00\x00\x00\x00"...)
	p = append(binary.BigEndian.AppendUint32(p, pixels), "IDAT"...)
	for name, head := range map[string][]byte{"DICOM": d, "PNG": p} {
		c := &counter{head: head}
		whole, err := Whole(c, int64(len(head))+int64(pixels))
		if want := name == "DICOM"; whole != want || err != nil {
			t.Errorf("%s: %v, %v", name, whole, err)
		}
		if c.read > 128<<10 {
			t.Errorf("%s: read %d bytes", name, c.read)
		}
	}
}

// broken fails as a share does that has gone away.
type broken struct {
	io.ReaderAt
	after int64
}

var errGone = errors.New("stale file handle")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.after {
		return 0, errGone
	}
	return b.ReaderAt.ReadAt(p, off)
}

// A share that goes away is not a damaged file.
func TestReadingFails(t *testing.T) {
	for name, b := range wholeFiles(t) {
		for _, after := range []int64{0, 100, int64(len(b)) / 2} {
			r := broken{bytes.NewReader(b), after}
			if _, err := DecodeReader(r, int64(len(b)), DefaultLimits()); !errors.Is(err, errGone) && spine.CodeOf(err) != spine.Unsupported {
				t.Errorf("%s, after %d bytes: decode: %v", name, after, err)
			}
			if whole, err := Whole(r, int64(len(b))); whole || !errors.Is(err, errGone) {
				t.Errorf("%s, after %d bytes: whole: %v, %v", name, after, whole, err)
			}
		}
	}
}

func TestWholeUnknown(t *testing.T) {
	for _, n := range []int{0, 1, 131, 132, 100_000} { // a length that is reserved begins with zeros
		if isWhole(t, make([]byte, n)) {
			t.Errorf("%d zeros are whole", n)
		}
	}
	if isWhole(t, bytes.Repeat([]byte{1}, 131)) {
		t.Error("131 bytes are whole")
	}
	if !isWhole(t, bytes.Repeat([]byte("no picture "), 50)) {
		t.Error("a text is waited for")
	}
}

// check holds for every input whatever.
func check(t *testing.T, b []byte) {
	p, err := DecodeReader(bytes.NewReader(b), int64(len(b)), Limits{Bytes: 1 << 20, Pixels: 1 << 18})
	if err != nil {
		if c := spine.CodeOf(err); c != spine.Corrupt && c != spine.Unsupported {
			t.Fatal(err)
		}
		return
	}
	if p.Width < 1 || p.Height < 1 || len(p.Pix) != p.Width*p.Height || p.Facts.Bits < 8 || p.Facts.Bits > 16 {
		t.Fatalf("%dx%d with %d values, %+v", p.Width, p.Height, len(p.Pix), p.Facts)
	}
	for _, v := range p.Pix {
		if !(v >= 0 && v <= 1) {
			t.Fatalf("a value of %v", v)
		}
	}
	if !(p.Facts.Hues >= 0 && p.Facts.Hues <= 1) {
		t.Fatalf("hues %v", p.Facts.Hues)
	}
	// What decodes is whole, or the box would wait for it in vain.
	if whole, err := Whole(bytes.NewReader(b), int64(len(b))); !whole || err != nil {
		t.Fatalf("decodes, but is not whole: %v", err)
	}
}

func seeds(f *testing.F) {
	for _, b := range wholeFiles(f) {
		f.Add(b)
		f.Add(b[:len(b)*2/3])
	}
	for _, b := range bombs(f) {
		if len(b) < 10_000 { // long seeds make a slow fuzzer
			f.Add(b)
		}
	}
}

func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(check)
}

func FuzzWhole(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Whole(bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
	})
}
