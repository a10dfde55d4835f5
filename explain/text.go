package explain

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// typeface is a size and weight of type, with the height of its lines.
type typeface struct {
	font.Face
	line int // from one baseline to the next, in pixels
}

// newTypeface returns the Go typeface (which travels in the binary, so that a
// box without fonts can write) at em pixels.
func newTypeface(em float64, bold bool) (typeface, error) {
	data := goregular.TTF
	if bold {
		data = gobold.TTF
	}
	parsed, err := opentype.Parse(data)
	if err != nil {
		return typeface{}, fmt.Errorf("parse typeface: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: em, DPI: 72})
	if err != nil {
		return typeface{}, fmt.Errorf("size typeface: %w", err)
	}
	return typeface{Face: face, line: int(em*1.35 + 0.5)}, nil
}

// width returns how many pixels the text takes.
func (t typeface) width(text string) int { return font.MeasureString(t, text).Ceil() }

// wrap breaks the text into lines of at most width pixels: between words, and
// inside a word only where it alone is too long (a model's name can be).
func (t typeface) wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if joined := strings.TrimSpace(line + " " + word); t.width(joined) <= width {
			line = joined
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for t.width(word) > width {
			n := t.fits(word, width)
			lines = append(lines, word[:n])
			word = word[n:]
		}
		line = word
	}
	return append(lines, line)
}

// fits returns how many bytes of the word, whole runes and at least one, fit.
func (t typeface) fits(word string, width int) int {
	n := 0
	for i, r := range word {
		end := i + len(string(r))
		if n > 0 && t.width(word[:end]) > width {
			break
		}
		n = end
	}
	return n
}

// write draws one line of text, its top left corner at x, y.
func (t typeface) write(dst draw.Image, x, y int, c color.Color, text string) {
	metrics := t.Metrics()
	spare := t.line - (metrics.Ascent + metrics.Descent).Ceil()
	d := font.Drawer{
		Dst: dst, Src: image.NewUniform(c), Face: t,
		Dot: fixed.P(x, y+spare/2+metrics.Ascent.Ceil()),
	}
	d.DrawString(text)
}

// fill colours a rectangle. (image/draw takes its slow way, pixel by pixel
// through interfaces, to an NRGBA: half the time of an overlay.)
func fill(dst *image.NRGBA, r image.Rectangle, c color.Color) {
	r = r.Intersect(dst.Rect)
	if r.Empty() {
		return
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	first := dst.Pix[dst.PixOffset(r.Min.X, r.Min.Y):][:4*r.Dx()]
	for i := 0; i < len(first); i += 4 {
		first[i], first[i+1], first[i+2], first[i+3] = n.R, n.G, n.B, n.A
	}
	for y := r.Min.Y + 1; y < r.Max.Y; y++ {
		copy(dst.Pix[dst.PixOffset(r.Min.X, y):], first)
	}
}
