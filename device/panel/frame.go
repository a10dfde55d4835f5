package panel

import (
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"spinebox/internal/spine"
)

// Size of a frame in pixels.
const (
	Width  = 128
	Height = 64
)

const (
	charWidth, charHeight = 7, 13 // of basicfont.Face7x13
	head                  = 24    // height of the state's word
	lineWidth             = 17    // characters; the dots of the pages stand beside them
	lineCount             = 3
	turn                  = 4 // seconds for a page
)

// Frame draws what the display shows for a status at a time in seconds,
// counted from anywhere: the state in large letters, light on dark, or dark on
// light when the box needs somebody; beneath it the details, page after page;
// in the last row a dash that moves once a second. A dash that stands still
// tells that the service is gone and the display only remembers.
func Frame(s spine.Status, seconds int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, Width, Height))
	state, details := words(s)
	ink := color.Gray{Y: 255}
	if s.Trouble != "" {
		draw.Draw(img, image.Rect(0, 0, Width, head), image.White, image.Point{}, draw.Src)
		ink = color.Gray{}
	}
	drawWord(img, state, ink)

	var lines []string
	for _, d := range details {
		lines = append(lines, wrap(d, lineWidth)...)
	}
	pages := (len(lines) + lineCount - 1) / lineCount
	if pages > 0 {
		page := seconds / turn % pages
		for i, line := range lines[page*lineCount : min(len(lines), (page+1)*lineCount)] {
			write(img, line, 0, head+i*charHeight)
		}
		drawPages(img, page, pages)
	}
	draw.Draw(img, image.Rect(seconds%8*16, Height-1, seconds%8*16+16, Height), image.White, image.Point{}, draw.Src)
	return img
}

// drawWord writes the state twice as high, and twice as wide where it fits.
func drawWord(img *image.Gray, word string, ink color.Gray) {
	small := image.NewGray(image.Rect(0, 0, len(word)*charWidth, charHeight))
	write(small, word, 0, 0)
	wide := 1
	if 2*small.Rect.Dx() <= Width {
		wide = 2
	}
	left := 1
	if ink.Y == 0 { // in the middle of its bar
		left = (Width - wide*small.Rect.Dx()) / 2
	}
	for y := range head - 2 { // capitals have nothing below
		for x := range wide * small.Rect.Dx() {
			if small.GrayAt(x/wide, y/2).Y > 127 {
				img.SetGray(left+x, 1+y, ink)
			}
		}
	}
}

func write(img *image.Gray, text string, x, y int) {
	d := font.Drawer{Dst: img, Src: image.White, Face: basicfont.Face7x13, Dot: fixed.P(x, y+basicfont.Face7x13.Ascent)}
	d.DrawString(text)
}

// drawPages marks with dots at the right edge which page of several is shown.
func drawPages(img *image.Gray, page, pages int) {
	if pages < 2 {
		return
	}
	for i := range min(pages, 9) {
		y := head + 2 + 4*i
		if i == min(page, 8) {
			draw.Draw(img, image.Rect(Width-4, y, Width-1, y+3), image.White, image.Point{}, draw.Src)
		} else {
			img.SetGray(Width-3, y+1, color.Gray{Y: 255})
		}
	}
}
