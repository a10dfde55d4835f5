package audit

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"io"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize/english"
	"golang.org/x/image/draw"

	"spinebox/internal/spine"
)

//go:embed page.html
var pageText string

// shown is how many pictures of each class the page shows at most, chosen by
// their digests and so without regard to anything in them.
const shown = 48

// thumbnail is a small JPEG without metadata, at most 72×200 pixels.
func thumbnail(p image.Image) ([]byte, error) {
	b := p.Bounds()
	w, h := 72, max(1, 72*b.Dy()/b.Dx())
	if h > 200 {
		w, h = max(1, 200*b.Dx()/b.Dy()), 200
	}
	small := image.NewGray(image.Rect(0, 0, w, h))
	draw.BiLinear.Scale(small, small.Bounds(), p, b, draw.Src, nil)
	var out bytes.Buffer
	err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 70})
	return out.Bytes(), err
}

// Page writes what was found as one page with pictures, which needs nothing
// else. It holds X-rays: it belongs where the data set belongs.
func (a *Audit) Page(w io.Writer) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"percent": func(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + " %" },
		"short":   short,
		"picture": a.picture,
		"sheet":   a.sheet,
		"plot":    a.plot,
		"labels":  spine.Labels,
		"colour":  colour,
		"first":   func(n int, p []Pair) []Pair { return p[:min(n, len(p))] },
		"head":    func(n int, s []Spread) []Spread { return s[:min(n, len(s))] },
		"use":     func() string { return spine.IntendedUse },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(w, a)
}

// picture is a thumbnail as an image's address.
func (a *Audit) picture(sha256 string) template.URL {
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(a.thumbnails[sha256]))
}

// sheet lists the pictures of a class that the page shows.
func (a *Audit) sheet(label spine.Label) []Facts {
	var all []Facts
	for _, f := range a.Facts {
		if f.Label == label && f.Unreadable == "" && len(all) < shown {
			all = append(all, f)
		}
	}
	return all
}

// colour of a class, told apart by colour-blind readers too (Okabe and Ito).
func colour(label spine.Label) template.CSS {
	return []template.CSS{"#0072b2", "#d55e00", "#009e73"}[max(0, slices.Index(spine.Labels(), label))%3]
}

// dot of the plot of shapes: place in a box of 640×300, and class.
type dot struct {
	X, Y   float64
	Colour template.CSS
}

// plot lays out width against height by width.
func (a *Audit) plot() []dot {
	widest, tallest := 1.0, 1.0
	for _, f := range a.Facts {
		if f.Unreadable == "" {
			widest, tallest = max(widest, float64(f.Width)), max(tallest, float64(f.Height)/float64(f.Width))
		}
	}
	var dots []dot
	for _, f := range a.Facts {
		if f.Unreadable == "" {
			dots = append(dots, dot{40 + 590*float64(f.Width)/widest, 280 - 270*float64(f.Height)/float64(f.Width)/tallest, colour(f.Label)})
		}
	}
	return dots
}

// Manifest writes one line for each picture: its digest, class, group and
// size. Groups are numbered, and files are not named: names tell of persons.
func (a *Audit) Manifest(w io.Writer) error {
	rows := [][]string{{"sha256", "label", "group", "width", "height", "bytes"}}
	groups := map[string]int{}
	for _, f := range a.Facts {
		if _, ok := groups[f.Group]; !ok {
			groups[f.Group] = len(groups) + 1
		}
		rows = append(rows, []string{f.SHA256, string(f.Label), strconv.Itoa(groups[f.Group]),
			strconv.Itoa(f.Width), strconv.Itoa(f.Height), strconv.FormatInt(f.Bytes, 10)})
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// Summary writes what was found as text.
func (a *Audit) Summary(w io.Writer) {
	fmt.Fprintf(w, "%s in %s\n", pictures(a.Pictures), english.Plural(a.Groups, "group", ""))
	for _, label := range spine.Labels() {
		if s, ok := a.Sizes[label]; ok {
			fmt.Fprintf(w, "  %-18s %4d   width %d to %d, median %d   height/width median %.1f   tinted %d, with text %d, with EXIF %d\n",
				label, a.Labels[label], s.Width[0], s.Width[2], s.Width[1], s.Shape[1], a.Tinted[label], a.Text[label], a.EXIF[label])
		}
	}
	fmt.Fprintln(w, "\nwithout looking at a spine (five folds):")
	for _, f := range append(slices.Clone(a.Floors), a.Kind) {
		fmt.Fprintf(w, "  %-22s %5.1f %%  (95 %% interval %.1f to %.1f)\n", f.Name, 100*f.Accuracy, 100*f.Interval.Low, 100*f.Interval.High)
	}
	fmt.Fprintf(w, "\nexact duplicates %d, near duplicates %d pairs, JPEG settings %d, cameras %d, with EXIF %d, with a place %d\n",
		len(a.Duplicates), len(a.Near), len(a.Quantisers), len(a.Cameras), a.Personal.EXIF, a.Personal.GPS)
	if len(a.Warnings) > 0 {
		fmt.Fprintln(w)
	}
	for _, warning := range a.Warnings {
		fmt.Fprintln(w, "! "+warning)
	}
}
