package xray

import (
	"bufio"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/tiff"

	"spinebox/internal/spine"
)

// How many pixels one byte of a file can stand for at the very most.
const (
	// A progressive scan that holds nothing but the mean of each 8×8 block
	// spends at least one bit on a block: 512 pixels a byte. Twice that, to
	// stay clear of odd sampling factors.
	jpegPixelsPerByte = 1024
	// Deflate shrinks to no less than a 1032nd; a pixel has at least one bit.
	pngPixelsPerByte = 8 * 1032
	// LZW is the densest: 12 bits for at most 3838 pixels of 8 bits.
	tiffPixelsPerByte = 4096
)

func (d Decoder) decodeJPEG(s *source) (*Grey, error) {
	// The outline first: image/jpeg can read to the end of a file whose
	// writer stopped in the middle of a header.
	if err := wholeJPEG(s); err != nil {
		return nil, err
	}
	o, err := outlineJPEG(s)
	if err != nil {
		return nil, err
	}
	config, err := jpeg.DecodeConfig(bufio.NewReader(s.section()))
	if err != nil {
		return nil, unsupported(err)
	}
	if err := d.Limits.check(config.Width, config.Height, s.size, jpegPixelsPerByte); err != nil {
		return nil, err
	}
	if err := d.Limits.affords(config, o.progressive); err != nil {
		return nil, err
	}
	img, err := jpeg.Decode(s.section())
	if err != nil {
		return nil, unsupported(err)
	}
	return fromImage(img, orientationIn(o.exif)), nil
}

func (d Decoder) decodePNG(s *source) (*Grey, error) {
	exif, err := outlinePNG(s)
	if err != nil {
		return nil, err
	}
	config, err := png.DecodeConfig(bufio.NewReader(s.section()))
	if err != nil {
		return nil, unsupported(err)
	}
	if err := d.Limits.check(config.Width, config.Height, s.size, pngPixelsPerByte); err != nil {
		return nil, err
	}
	if err := d.Limits.affords(config, false); err != nil {
		return nil, err
	}
	img, err := png.Decode(bufio.NewReader(s.section()))
	if err != nil {
		return nil, unsupported(err)
	}
	return fromImage(img, orientationIn(exif)), nil
}

func (d Decoder) decodeTIFF(s *source) (*Grey, error) {
	o, err := outlineTIFF(s)
	if err != nil {
		return nil, err
	}
	if err := o.readable(); err != nil {
		return nil, err
	}
	config, err := tiff.DecodeConfig(s.section())
	if err != nil {
		return nil, unsupported(err)
	}
	if err := d.Limits.check(config.Width, config.Height, s.size, tiffPixelsPerByte); err != nil {
		return nil, err
	}
	if err := d.Limits.affords(config, false); err != nil {
		return nil, err
	}
	img, err := tiff.Decode(s.section())
	if err != nil {
		return nil, unsupported(err)
	}
	return fromImage(img, o.first.orientation), nil
}

// affords refuses a picture that takes more memory than there is: its raster, the
// codes or greys made from it, and of a progressive JPEG all coefficients.
func (lim Limits) affords(c image.Config, progressive bool) error {
	raster, made, samples := int64(4), int64(4), int64(1) // bytes of a pixel; of coefficients 4 a sample
	switch c.ColorModel {
	case color.GrayModel:
		raster, made = 1, 1
	case color.Gray16Model:
		raster, made = 2, 2
	case color.YCbCrModel:
		raster, made, samples = 3, 1, 3
	case color.RGBA64Model, color.NRGBA64Model:
		raster = 8
	case color.RGBAModel, color.NRGBAModel:
		samples = 3
	case color.CMYKModel:
		samples = 4
	default: // a palette
		raster, made = 1, 1
	}
	perPixel := raster + made
	if progressive {
		perPixel += 4 * samples
	}
	const beside = 96 << 20 // the program, what a decoder has in hand, and Go's steps of 64 MB
	need := int64(c.Width)*int64(c.Height)*perPixel + beside
	if lim.Memory > 0 && need > lim.Memory {
		return spine.Faultf(spine.Unsupported, "a picture of %d by %d pixels that takes %d MB to decode; the limit is %d MB", c.Width, c.Height, need>>20, lim.Memory>>20)
	}
	return nil
}

// unsupported gives the decoders' own word for "valid, but not implemented"
// its code.
func unsupported(err error) error {
	if e, ok := errors.AsType[jpeg.UnsupportedError](err); ok {
		return spine.Faultf(spine.Unsupported, "a JPEG with %s", string(e))
	}
	if e, ok := errors.AsType[png.UnsupportedError](err); ok {
		return spine.Faultf(spine.Unsupported, "a PNG with %s", string(e))
	}
	if e, ok := errors.AsType[tiff.UnsupportedError](err); ok {
		return spine.Faultf(spine.Unsupported, "a TIFF with %s", string(e))
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// orientation is how a camera held its sensor, as EXIF and TIFF number it
// (tag 274): 1 is upright, 3 upside down, 6 and 8 on either side; the even of
// the others and 5 and 7 are mirrored.
type orientation int

const upright orientation = 1

// placement says where the pixels of a w×h raster go in an upright picture of
// width×height: the first one to index first, and from there each step to the
// right and down the raster moves by right and down.
type placement struct {
	width, height      int
	first, right, down int
}

func (o orientation) place(w, h int) placement {
	switch o {
	case 2:
		return placement{w, h, w - 1, -1, w}
	case 3:
		return placement{w, h, w*h - 1, -1, -w}
	case 4:
		return placement{w, h, (h - 1) * w, 1, -w}
	case 5:
		return placement{h, w, 0, h, 1}
	case 6:
		return placement{h, w, h - 1, h, -1}
	case 7:
		return placement{h, w, w*h - 1, -h, -1}
	case 8:
		return placement{h, w, (w - 1) * h, -h, 1}
	}
	return placement{w, h, 0, 1, w}
}

// fromImage makes a decoded raster grey and upright.
func fromImage(img image.Image, o orientation) *Grey {
	b := img.Bounds()
	at := o.place(b.Dx(), b.Dy())
	g := &Grey{Width: at.width, Height: at.height}
	g.Facts.Bits, g.Facts.Hues = 8, huesOf(img)
	switch m := img.(type) {
	case *image.Gray:
		g.Codes8, g.Table = planeOf(m.Pix, m.Stride, at, b), evenGreys(8)
	case *image.YCbCr: // its Y is the grey of Rec. 601
		g.Codes8, g.Table = planeOf(m.Y, m.YStride, at, b), evenGreys(8)
	case *image.Paletted:
		g.Codes8, g.Table = planeOf(m.Pix, m.Stride, at, b), make([]float32, 256)
		for i, c := range m.Palette { // the decoders make sure that no pixel is beyond
			g.Table[i] = luma16(c)
		}
	case *image.Gray16:
		g.Facts.Bits = 16
		g.Codes16, g.Table = turned(at, b, computed(b, func(dst []uint16, y int) {
			src := m.Pix[y*m.Stride:]
			for x := range dst {
				dst[x] = uint16(src[2*x])<<8 | uint16(src[2*x+1])
			}
		})), evenGreys(16)
	default:
		var luma func(dst []float32, y int)
		luma, g.Facts.Bits = lumaReader(img)
		g.Values = turned(at, b, computed(b, luma))
	}
	return g
}

// planeOf puts a plane of single bytes where it belongs, which it often is.
func planeOf(pix []byte, stride int, at placement, b image.Rectangle) []byte {
	if n := b.Dx() * b.Dy(); at == upright.place(b.Dx(), b.Dy()) && stride == b.Dx() {
		return pix[:n:n]
	}
	return turned(at, b, func(y, width int) []byte { return pix[y*stride:][:width] })
}

// computed returns a function that gives row y of a raster as fill writes it,
// into memory that is used again.
func computed[T any](b image.Rectangle, fill func(dst []T, y int)) func(y, width int) []T {
	row := make([]T, b.Dx())
	return func(y, _ int) []T {
		fill(row, y)
		return row
	}
}

// turned puts the rows of a raster with the bounds b where they belong.
func turned[T any](at placement, b image.Rectangle, row func(y, width int) []T) []T {
	out := make([]T, at.width*at.height)
	for y := range b.Dy() {
		in, i := row(y, b.Dx()), at.first+y*at.down
		if at.right == 1 {
			copy(out[i:], in)
			continue
		}
		for _, v := range in {
			out[i] = v
			i += at.right
		}
	}
	return out
}

// evenGreys is the table of codes that spread from black to white.
func evenGreys(bits int) []float32 {
	t := make([]float32, 1<<bits)
	for v := range t {
		t[v] = float32(v) / float32(len(t)-1)
	}
	return t
}

// lumaReader returns a function that writes the luma of row y of a colour
// picture, 0 to 1, into dst, and how many bits each of its samples has. Weights
// of Rec. 601 in thousandths keep the grey of a grey pixel stored as colour
// exact.
func lumaReader(img image.Image) (luma func(dst []float32, y int), bits int) {
	b := img.Bounds()
	switch m := img.(type) {
	case *image.RGBA: // its colours are already multiplied by alpha
		return func(dst []float32, y int) {
			src := m.Pix[y*m.Stride:]
			for x := range dst {
				s := src[4*x : 4*x+3 : 4*x+3]
				dst[x] = float32(299*uint32(s[0])+587*uint32(s[1])+114*uint32(s[2])) / 255_000
			}
		}, 8
	case *image.NRGBA:
		return func(dst []float32, y int) {
			src := m.Pix[y*m.Stride:]
			for x := range dst {
				s := src[4*x : 4*x+4 : 4*x+4]
				v := float32(299*uint32(s[0])+587*uint32(s[1])+114*uint32(s[2])) / 255_000
				if s[3] != 255 {
					v *= float32(s[3]) / 255
				}
				dst[x] = v
			}
		}, 8
	case *image.RGBA64:
		return func(dst []float32, y int) {
			for x := range dst {
				dst[x] = luma16(m.RGBA64At(b.Min.X+x, b.Min.Y+y))
			}
		}, 16
	case *image.NRGBA64:
		return func(dst []float32, y int) {
			for x := range dst {
				dst[x] = luma16(m.NRGBA64At(b.Min.X+x, b.Min.Y+y))
			}
		}, 16
	}
	return func(dst []float32, y int) { // CMYK, as some photo programs write it
		for x := range dst {
			dst[x] = luma16(img.At(b.Min.X+x, b.Min.Y+y))
		}
	}, 8
}

// luma16 is the grey of a colour over black.
func luma16(c color.Color) float32 {
	r, g, b, _ := c.RGBA()
	return float32(float64(299*uint64(r)+587*uint64(g)+114*uint64(b)) / 65_535_000)
}
