package outline

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"spinebox/internal/spine"
	"spinebox/lab/regions"
)

// correction is what is to be done with an outline, after looking at it.
type correction struct {
	drop     bool
	from, to float64      // the part of the picture's height that the outline is cut to
	band     [][3]float64 // drawn anew: middle x, y and half width
}

// corrections are by the SHA-256 of pictures, or its first 12 digits or more.
type corrections map[string]correction

func (c corrections) of(sha256 string) (correction, bool) {
	for start, found := range c {
		if strings.HasPrefix(sha256, start) {
			return found, true
		}
	}
	return correction{}, false
}

// readCorrections reads a file of corrections, one picture a line:
//
//	SHA256 drop
//	SHA256 cut FROM TO
//	SHA256 band X,Y,HALF X,Y,HALF …
//
// All numbers are fractions, 0 to 1: of the picture's height for FROM, TO and Y,
// of its width for X and HALF. What follows a # is left alone.
func readCorrections(name string) (corrections, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := corrections{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		digest := words[0]
		if len(digest) < 12 || len(digest) > 64 || strings.Trim(digest, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("%s, line %d: it begins with no SHA-256, nor its first 12 digits", name, n)
		}
		if _, ok := all.of(digest); ok {
			return nil, fmt.Errorf("%s, line %d: the picture is there twice", name, n)
		}
		if all[digest], err = parseCorrection(words[1:]); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
	return all, lines.Err()
}

func parseCorrection(words []string) (correction, error) {
	switch {
	case len(words) == 1 && words[0] == "drop":
		return correction{drop: true}, nil
	case len(words) == 3 && words[0] == "cut":
		v, err := fractions(words[1] + "," + words[2])
		if err != nil || len(v) != 2 || v[0] >= v[1] {
			return correction{}, errors.New("cut needs two fractions of the picture's height, from and to")
		}
		return correction{from: v[0], to: v[1]}, nil
	case len(words) > 2 && words[0] == "band":
		c := correction{}
		for _, word := range words[1:] {
			v, err := fractions(word)
			if err != nil || len(v) != 3 || v[2] == 0 {
				return correction{}, errors.New("band needs X,Y,HALF as fractions of the picture, at two places at least")
			}
			c.band = append(c.band, [3]float64(v))
		}
		return c, nil
	}
	return correction{}, errors.New("it says neither drop, nor cut FROM TO, nor band X,Y,HALF X,Y,HALF")
}

func fractions(text string) ([]float64, error) {
	var all []float64
	for _, word := range strings.Split(text, ",") {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return nil, errors.New("no fraction")
		}
		all = append(all, v)
	}
	return all, nil
}

// apply outlines a picture as the correction says.
func (c correction) apply(p *spine.Picture) (regions.Region, error) {
	if len(c.band) == 0 {
		return outline(p, c.from, c.to)
	}
	w, h := float64(p.Width), float64(p.Height)
	var sides [2]regions.Polygon
	for _, b := range c.band {
		sides[0] = append(sides[0], corner(p, (b[0]-b[2])*w, b[1]*h))
		sides[1] = append(sides[1], corner(p, (b[0]+b[2])*w, b[1]*h))
	}
	return closed(p, sides), nil
}
