package xray

import (
	"image/color"
	"io"

	"spinebox/internal/spine"
)

// colours writes a colour picture as its luma and returns its Facts.Hues.
func (l layout) colours(file io.ReaderAt, dst []float32) (hues float64, err error) {
	full := float64(int(1)<<l.bits - 1)
	c := newChroma(l.width, l.height)
	put := func(i int, y, cb, cr float64) {
		dst[i] = float32(y / full)
		c.see(i%l.width, i/l.width, 255*y/full, 255*cb/full, 255*cr/full)
	}
	middle := float64(int(1) << (l.bits - 1))
	err = l.each(file, func(first int, s []uint16) {
		if l.photometric == "YBR_FULL_422" { // Y Y Cb Cr
			for i := 0; i+3 < len(s); i += 4 {
				cb, cr := float64(s[i+2])-middle, float64(s[i+3])-middle
				put(first+i/2, float64(s[i]), cb, cr)
				put(first+i/2+1, float64(s[i+1]), cb, cr)
			}
			return
		}
		n := len(s) / 3
		next, plane := 3, 1
		if l.planes {
			next, plane = 1, n
		}
		for i := range n {
			a, b, d := s[i*next], s[i*next+plane], s[i*next+2*plane]
			if l.photometric == "YBR_FULL" {
				put(first+i, float64(a), float64(b)-middle, float64(d)-middle)
				continue
			}
			y := float64(299*uint32(a)+587*uint32(b)+114*uint32(d)) / 1000
			put(first+i, y, 0.564*(float64(d)-y), 0.713*(float64(a)-y))
		}
	})
	return c.hues(), err
}

// palette gives the codes of a PALETTE COLOR picture (PS3.3 C.7.9) the luma of
// their colours.
func (d dataset) palette(g *Grey, l layout) error {
	if _, ok := d.elements[tagSegmentedRed]; ok {
		return spine.Faultf(spine.Unsupported, "a DICOM picture with a segmented palette")
	}
	var planes [3][]uint16
	for i, tags := range [][2]uint32{
		{tagRedDescriptor, tagRedData}, {tagGreenDescriptor, tagGreenData}, {tagBlueDescriptor, tagBlueData},
	} {
		descriptor, described := d.elements[tags[0]]
		data, there := d.elements[tags[1]]
		if !described || !there {
			return spine.Faultf(spine.Corrupt, "a DICOM picture without its palette")
		}
		table, err := d.table(descriptor, data, false)
		if err != nil {
			return err
		}
		planes[i] = make([]uint16, 1<<l.bits)
		for code := range planes[i] {
			// All at 16 bits; entries of 8 bits are repeated, as 255 is 65535.
			v := uint16(table.at(float64(code)))
			if table.bits == 8 {
				v *= 0x101
			}
			planes[i][code] = v
		}
	}
	colours := make([]color.RGBA64, 1<<l.bits)
	g.Table = make([]float32, 1<<l.bits)
	for code := range colours {
		colours[code] = color.RGBA64{R: planes[0][code], G: planes[1][code], B: planes[2][code], A: 0xffff}
		g.Table[code] = luma16(colours[code])
	}
	c := newChroma(g.Width, g.Height)
	c.sample(func(x, y int) color.Color { return colours[g.Codes16[y*g.Width+x]] })
	g.Facts.Hues = c.hues()
	return nil
}
