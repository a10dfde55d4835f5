package explain

import (
	"fmt"
	"image"
	"image/color"
	"strings"

	"spinebox/internal/spine"
)

// The band's colours: a dark ground beside which an X-ray keeps its contrast.
const (
	ground = tone(22)
	bright = tone(240)
	quiet  = tone(176)
)

type tone uint8

func (s tone) RGBA() (r, g, b, a uint32) {
	v := uint32(s) * 0x101
	return v, v, v, 0xffff
}

// Sizes of the band, in pixels where they have no unit. The type grows with
// the picture, because a large X-ray is looked at reduced to the screen.
const (
	smallestEm = 14
	largestEm  = 96
	bandEms    = 24 // the band's least width: the line on intended use in one piece
	barGrey    = 128
)

// notableOutside is the share of a map outside the picture from which on the
// band mentions it. Below, it is mostly the blur of cells that the border cuts:
// a picture 123 pixels wide may be no wider than two of them.
const notableOutside = 0.25

// A band is what is written below the X-ray.
type band struct {
	width, height int
	em, margin    int
	items         []bandItem
	colours       *palette
	opacity       float64
}

// bandItem is a line of text, or the colour bar.
type bandItem struct {
	face typeface
	text string
	tint color.Color
	bar  bool
}

func newBand(p *spine.Picture, r *spine.Reading, opt Options) (*band, error) {
	if err := checkPicture(p); err != nil {
		return nil, err
	}
	opacity, err := opt.opacity()
	if err != nil {
		return nil, err
	}
	colours, err := opt.ColourMap.palette()
	if err != nil {
		return nil, err
	}
	em := min(max(p.Width/40, p.Height/75, smallestEm), largestEm)
	b := &band{
		width: max(p.Width, bandEms*em), em: em, margin: em,
		colours: colours, opacity: opacity,
	}
	if err := b.compose(r, opt.Withheld); err != nil {
		return nil, err
	}
	return b, nil
}

// compose sets the band's items and its height.
func (b *band) compose(r *spine.Reading, withheld spine.Code) error {
	head, err := newTypeface(float64(b.em)*1.4, true)
	if err != nil {
		return err
	}
	body, err := newTypeface(float64(b.em), false)
	if err != nil {
		return err
	}
	head.line += b.em / 4 // air above the colour bar
	b.height = b.margin + b.margin/2
	add := func(face typeface, tint color.Color, text string) {
		for _, line := range face.wrap(text, b.width-2*b.margin) {
			b.items = append(b.items, bandItem{face: face, tint: tint, text: line})
			b.height += face.line
		}
	}
	headline, sentences := answer(r, withheld)
	add(head, bright, headline)
	if !r.Heatmap.Empty() {
		b.items = append(b.items, bandItem{face: body, tint: quiet, bar: true})
		b.height += body.line
	}
	add(body, quiet, source(r))
	for _, sentence := range sentences {
		add(body, bright, sentence)
	}
	add(body, quiet, spine.IntendedUse)
	return nil
}

// answer returns the band's first line, and what has to be said about it.
func answer(r *spine.Reading, withheld spine.Code) (headline string, sentences []string) {
	h := r.Heatmap
	if withheld == "" && h != nil && h.Empty() {
		withheld = spine.HeatmapEmpty
	}
	if withheld != "" {
		headline = "No answer: " + string(withheld)
		sentences = append(sentences, withheld.Sentence())
	} else {
		headline = title(string(r.Label)) + " " + percent(r.Probability())
	}
	switch {
	case h == nil:
		sentences = append(sentences, "This model cannot show where it looked.")
	case h.Empty():
	default:
		if s, err := newSurface(h, 1, 1); err == nil && s.even() {
			sentences = append(sentences, "Nothing stands out: the map is even all over the picture.")
		}
		if share := Outside(h); share >= notableOutside {
			sentences = append(sentences, fmt.Sprintf("%.0f %% of the map lies outside the picture.", 100*share))
		}
	}
	return headline, sentences
}

// source names the model and the method; under the colour bar it says what the
// bar measures.
func source(r *spine.Reading) string {
	model := strings.TrimSpace(r.Model.Name + " " + r.Model.Version)
	if model == "" {
		model = "a model without a name"
	}
	switch {
	case r.Heatmap == nil:
		return "Read by " + model + "."
	case r.Heatmap.Empty():
		return fmt.Sprintf("Read by %s (%s).", model, Method(r.Method).Title())
	}
	return fmt.Sprintf("Where %s looked (%s).", model, Method(r.Method).Title())
}

// percent never rounds up to certainty, which no network has.
func percent(p float64) string {
	if p >= 0.9995 {
		return "over 99.9 %"
	}
	return fmt.Sprintf("%.1f %%", 100*p)
}

func title(word string) string {
	if word == "" {
		return "No label"
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// draw writes the band onto the canvas from row top on.
func (b *band) draw(canvas *image.NRGBA, top int) {
	y := top + b.margin
	for _, item := range b.items {
		if item.bar {
			b.drawBar(canvas, item, y)
		} else {
			item.face.write(canvas, b.margin, y, item.tint, item.text)
		}
		y += item.face.line
	}
}

// drawBar draws the colour bar between "less" and "more", as the colours look
// on the mid grey of bone: the bare colours occur nowhere in the picture.
func (b *band) drawBar(canvas *image.NRGBA, item bandItem, y int) {
	const less, more = "less", "more"
	gap := b.em / 2
	left := b.margin + item.face.width(less) + gap
	right := b.width - b.margin - item.face.width(more) - gap
	item.face.write(canvas, b.margin, y, item.tint, less)
	item.face.write(canvas, right+gap, y, item.tint, more)
	top, bottom := y+item.face.line/5, y+item.face.line-item.face.line/5
	for x := left; x < right; x++ {
		v := (float32(x-left) + 0.5) / float32(right-left)
		fill(canvas, image.Rect(x, top, x+1, bottom), over(b.colours.at(v), b.opacity, barGrey))
	}
}
