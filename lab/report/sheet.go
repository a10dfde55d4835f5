package report

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"slices"

	scale "golang.org/x/image/draw"

	"spinebox/internal/spine"
	"spinebox/lab/look"
)

// Sheet is a variant's contact sheet.
type Sheet struct {
	Variant string
	Errors  []Case // the surest first
	Astray  []Case // right answers whose maps lie least on the region
	Others  []Case // right answers by their digest, and so without regard to anything in them
	Left    int    // errors that the sheet has no room for
	Absent  int    // pictures whose overlay is not on this machine
}

// Sheets are all variants' contact sheets.
type Sheets struct {
	Shown  []Sheet
	Absent []string // variants without a picture on this machine
}

func (r *Report) sheets() (Sheets, error) {
	var all Sheets
	for _, v := range r.Variants {
		s, err := r.sheet(v)
		if err != nil {
			return all, err
		}
		if s.Absent == len(s.Errors)+len(s.Astray)+len(s.Others) {
			all.Absent = append(all.Absent, v.Name)
		} else {
			all.Shown = append(all.Shown, s)
		}
	}
	return all, nil
}

// Case is one picture of a contact sheet.
type Case struct {
	SHA12         string
	Label, Answer spine.Label
	Confidence    float64
	Lift          float64
	Known         bool // the lift
	Region        string
	Empty         bool
	Picture       template.URL
}

// The most pictures of each kind on a variant's sheet.
const (
	mostErrors = 40
	mostOthers = 8
)

// sheet picks the cases of a variant and reads their overlays.
func (r *Report) sheet(v Variant) (Sheet, error) {
	s := Sheet{Variant: v.Name}
	var right []Case
	for _, c := range r.runs.cases(v.Name) {
		if c.Answer != c.Label {
			s.Errors = append(s.Errors, c)
		} else {
			right = append(right, c)
		}
	}
	slices.SortStableFunc(s.Errors, func(a, b Case) int { return cmp.Compare(b.Confidence, a.Confidence) })
	s.Left = max(0, len(s.Errors)-mostErrors)
	s.Errors = s.Errors[:len(s.Errors)-s.Left]
	var measured, others []Case
	for _, c := range right {
		if c.Known {
			measured = append(measured, c)
		} else {
			others = append(others, c)
		}
	}
	slices.SortStableFunc(measured, func(a, b Case) int { return cmp.Compare(a.Lift, b.Lift) })
	s.Astray = measured[:min(mostOthers, len(measured))]
	others = append(others, measured[len(s.Astray):]...)
	slices.SortFunc(others, func(a, b Case) int { return cmp.Compare(a.SHA12, b.SHA12) })
	s.Others = others[:min(mostOthers, len(others))]
	for _, cases := range [][]Case{s.Errors, s.Astray, s.Others} {
		for i := range cases {
			if err := r.show(v.Name, &cases[i]); err != nil {
				return s, err
			}
			if cases[i].Picture == "" {
				s.Absent++
			}
		}
	}
	return s, nil
}

// cases of a variant, by their SHA-256.
func (r *Runs) cases(variant string) []Case {
	var all []Case
	for _, v := range r.Variants {
		if v.Name != variant {
			continue
		}
		for _, f := range v.Folds {
			maps := map[string]look.Map{}
			if f.Maps != nil {
				for _, m := range f.Maps.Maps {
					maps[m.SHA256] = m
				}
			}
			for _, a := range f.Answers {
				m := maps[a.SHA256]
				c := Case{SHA12: short(a.SHA256), Label: spine.Labels()[a.Truth], Answer: spine.Labels()[a.Answer()],
					Confidence: a.Confidence(), Region: m.Region, Empty: m.Empty}
				c.Lift, c.Known = m.Figures[look.Lift]
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b Case) int { return cmp.Compare(a.SHA12, b.SHA12) })
	return all
}

// show reads the picture's overlay from the fold that held it out, if it is on
// this machine.
func (r *Report) show(variant string, c *Case) error {
	for _, v := range r.runs.Variants {
		if v.Name != variant {
			continue
		}
		for _, f := range v.Folds {
			raw, err := os.ReadFile(look.Overlay(f.Dir, c.SHA12))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				c.Picture, err = thumbnail(raw)
			}
			if err != nil {
				return fmt.Errorf("overlay %s of %s: %w", c.SHA12, variant, err)
			}
		}
	}
	return nil
}

// The largest thumbnail in pixels.
const thumbWidth, thumbHeight = 420, 300

// thumbnail is a small JPEG without metadata, as an image's address.
func thumbnail(raw []byte) (template.URL, error) {
	p, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	b := p.Bounds()
	f := min(1, float64(thumbWidth)/float64(b.Dx()), float64(thumbHeight)/float64(b.Dy()))
	small := image.NewRGBA(image.Rect(0, 0, max(1, int(f*float64(b.Dx()))), max(1, int(f*float64(b.Dy())))))
	draw.Draw(small, small.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	scale.CatmullRom.Scale(small, small.Bounds(), p, b, draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 78}); err != nil {
		return "", err
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(out.Bytes())), nil
}
