package phantom

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"slices"
	"strings"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// Sheet is a contact sheet: thumbnails of equal height in rows, each with a
// caption that tells the truth about it.
type Sheet struct {
	Height  int  // of a thumbnail, pixels
	Columns int  // thumbnails in a row
	Outline bool // draw the border of where to look

	cells []cell
}

type cell struct {
	truth Truth
	thumb image.Image
}

// Add puts a phantom on the sheet. The order of calls does not matter: a sheet
// is sorted by class, view and number.
func (s *Sheet) Add(p *Phantom) {
	w, h := p.Picture.Width, p.Picture.Height
	whole := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(whole, whole.Rect, p.gray(), image.Point{}, draw.Src)
	thumb := image.NewRGBA(image.Rect(0, 0, max(w*s.Height/h, 1), s.Height))
	xdraw.CatmullRom.Scale(thumb, thumb.Rect, whole, whole.Rect, draw.Src, nil)
	if s.Outline {
		outline(thumb, p.Region())
	}
	s.cells = append(s.cells, cell{p.Truth, thumb})
}

// outline draws the border of a mask onto a thumbnail.
func outline(thumb *image.RGBA, region *image.Gray) {
	small := image.NewGray(thumb.Rect)
	xdraw.NearestNeighbor.Scale(small, small.Rect, region, region.Rect, draw.Src, nil)
	in := func(x, y int) bool { return small.GrayAt(x, y).Y != 0 }
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			if in(x, y) && !(in(x-1, y) && in(x+1, y) && in(x, y-1) && in(x, y+1)) {
				thumb.SetRGBA(x, y, color.RGBA{255, 190, 0, 255})
			}
		}
	}
}

func (t *Truth) caption() []string {
	first := fmt.Sprintf("%d %s", t.Index, t.Label)
	if t.Shortcut != "" {
		first += " +" + t.Shortcut
	}
	switch {
	case t.Slip != nil:
		return []string{first, fmt.Sprintf("%s %.0f%%", t.Slip.Level, t.Slip.Percent)}
	case len(t.Curves) > 0:
		return []string{first, fmt.Sprintf("%s Cobb %.0f", t.View, t.Curves[0].Cobb)}
	}
	return []string{first, string(t.View)}
}

// Image lays the sheet out.
func (s *Sheet) Image() image.Image {
	const gap, line = 6, 14
	columns := max(s.Columns, 1)
	slices.SortFunc(s.cells, func(a, b cell) int {
		return cmp.Or(strings.Compare(string(a.truth.Label), string(b.truth.Label)),
			strings.Compare(string(a.truth.View), string(b.truth.View)), cmp.Compare(a.truth.Index, b.truth.Index))
	})
	var width, y int
	at := make([]image.Point, len(s.cells))
	for from := 0; from < len(s.cells); from += columns {
		x := gap
		for i := from; i < min(from+columns, len(s.cells)); i++ {
			at[i] = image.Pt(x, y+gap)
			x += s.cells[i].width() + gap
		}
		width = max(width, x)
		y += s.Height + 2*line + 2*gap
	}
	sheet := image.NewRGBA(image.Rect(0, 0, max(width, 1), max(y, 1)))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(color.Gray{40}), image.Point{}, draw.Src)
	for i, c := range s.cells {
		r := c.thumb.Bounds().Add(at[i])
		draw.Draw(sheet, r, c.thumb, image.Point{}, draw.Src)
		for k, text := range c.truth.caption() {
			pen := font.Drawer{Dst: sheet, Src: image.White, Face: basicfont.Face7x13,
				Dot: fixed.P(at[i].X, r.Max.Y+(k+1)*line-2)}
			pen.DrawString(text)
		}
	}
	return sheet
}

// width of a cell is that of its thumbnail or of its caption, whichever is
// wider.
func (c cell) width() int {
	w := c.thumb.Bounds().Dx()
	for _, text := range c.truth.caption() {
		w = max(w, basicfont.Face7x13.Advance*len(text))
	}
	return w
}
