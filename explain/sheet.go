package explain

import (
	"image"
	"image/draw"
	"strings"

	"github.com/disintegration/imaging"

	"spinebox/internal/spine"
)

// The largest thumbnail on a sheet, in pixels: upright, as spines are.
const (
	thumbWidth  = 180
	thumbHeight = 420
	sheetGap    = 12
	sheetEm     = 13
)

// Cell is one picture of a contact sheet with its caption.
type Cell struct {
	thumbnail *image.NRGBA
	caption   []string
}

// NewCell shrinks the picture to a thumbnail at once, so that a sheet of
// hundreds of X-rays never holds them all. The caption's lines are divided by
// "\n"; the archive's file names do not belong in it, they carry age and sex.
func NewCell(picture image.Image, caption string) Cell {
	return Cell{
		thumbnail: imaging.Fit(picture, thumbWidth, thumbHeight, imaging.Box),
		caption:   strings.Split(caption, "\n"),
	}
}

// Sheet lays the cells out in rows of so many columns (at least one), each
// picture centred above its caption, and closes with the line on intended use.
func Sheet(cells []Cell, columns int) (image.Image, error) {
	columns = max(columns, 1)
	face, err := newTypeface(sheetEm, false)
	if err != nil {
		return nil, err
	}
	var rows []sheetRow
	height := sheetGap
	for first := 0; first < len(cells); first += columns {
		row := newSheetRow(face, cells[first:min(first+columns, len(cells))])
		rows = append(rows, row)
		height += row.pictures + row.captions + sheetGap
	}
	width := max(sheetGap+min(columns, max(len(cells), 1))*(thumbWidth+sheetGap), bandEms*sheetEm)
	sheet := image.NewNRGBA(image.Rect(0, 0, width, height+face.line+sheetGap))
	fill(sheet, sheet.Bounds(), ground)
	y := sheetGap
	for _, row := range rows {
		row.draw(sheet, face, y)
		y += row.pictures + row.captions + sheetGap
	}
	face.write(sheet, sheetGap, y, quiet, spine.IntendedUse)
	return sheet, nil
}

// sheetRow is one row of cells with its captions wrapped.
type sheetRow struct {
	cells              []Cell
	lines              [][]string
	pictures, captions int // the heights of the tallest
}

func newSheetRow(face typeface, cells []Cell) sheetRow {
	row := sheetRow{cells: cells}
	for _, cell := range cells {
		var lines []string
		for _, line := range cell.caption {
			lines = append(lines, face.wrap(line, thumbWidth)...)
		}
		row.lines = append(row.lines, lines)
		row.pictures = max(row.pictures, cell.thumbnail.Bounds().Dy())
		row.captions = max(row.captions, len(lines)*face.line)
	}
	return row
}

func (row sheetRow) draw(sheet *image.NRGBA, face typeface, y int) {
	for i, cell := range row.cells {
		left := sheetGap + i*(thumbWidth+sheetGap)
		size := cell.thumbnail.Bounds().Size()
		// Standing on the caption, so that it is plain which belongs to which.
		at := image.Pt(left+(thumbWidth-size.X)/2, y+row.pictures-size.Y)
		place := image.Rectangle{Min: at, Max: at.Add(size)}
		draw.Draw(sheet, place, cell.thumbnail, image.Point{}, draw.Over)
		for k, line := range row.lines[i] {
			face.write(sheet, left+(thumbWidth-face.width(line))/2, y+row.pictures+k*face.line, quiet, line)
		}
	}
}
