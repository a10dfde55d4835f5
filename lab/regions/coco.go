package regions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// coco is the part of COCO's JSON (object detection, cocodataset.org) that is
// read. Identifiers are compared as they are written.
type coco struct {
	Images []struct {
		ID     json.RawMessage `json:"id"`
		File   string          `json:"file_name"`
		Width  int             `json:"width"`
		Height int             `json:"height"`
	} `json:"images"`
	Categories []struct {
		ID   json.RawMessage `json:"id"`
		Name string          `json:"name"`
	} `json:"categories"`
	Annotations []struct {
		Image        json.RawMessage `json:"image_id"`
		Category     json.RawMessage `json:"category_id"`
		Segmentation json.RawMessage `json:"segmentation"`
	} `json:"annotations"`
}

// parseCOCO returns a drawing for each picture that is annotated.
func parseCOCO(raw []byte) ([]drawing, error) {
	var c coco
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("as COCO's JSON: %w", err)
	}
	names := map[string]string{}
	for _, category := range c.Categories {
		names[string(category.ID)] = category.Name
	}
	all, at := make([]drawing, len(c.Images)), map[string]int{}
	for i, image := range c.Images {
		if _, ok := at[string(image.ID)]; ok {
			return nil, fmt.Errorf("image %d has another's id", i+1)
		}
		at[string(image.ID)] = i
		all[i] = drawing{where: fmt.Sprintf("image %d", i+1), name: image.File, width: image.Width, height: image.Height}
	}
	for i, a := range c.Annotations {
		k, ok := at[string(a.Image)]
		if !ok {
			return nil, fmt.Errorf("annotation %d is of no image in the file", i+1)
		}
		r, err := segmentation(a.Segmentation, all[k].width, all[k].height)
		if err != nil {
			return nil, fmt.Errorf("annotation %d: %w", i+1, err)
		}
		all[k].shapes = append(all[k].shapes, shape{names[string(a.Category)], r})
	}
	return slices.DeleteFunc(all, func(d drawing) bool { return len(d.shapes) == 0 }), nil
}

// segmentation is a list of polygons, each a flat list of numbers, or a mask.
func segmentation(raw json.RawMessage, width, height int) (Region, error) {
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return runLengths(raw, width, height)
	}
	var flat [][]float64
	if err := json.Unmarshal(raw, &flat); err != nil || len(flat) == 0 {
		return Region{}, errors.New("its segmentation is neither a list of polygons nor a mask")
	}
	var r Region
	for i, numbers := range flat {
		if len(numbers)%2 == 1 {
			return Region{}, fmt.Errorf("polygon %d has an x without a y", i+1)
		}
		p := make(Polygon, len(numbers)/2)
		for k := range p {
			p[k] = [2]float64{numbers[2*k], numbers[2*k+1]}
		}
		r.Polygons = append(r.Polygons, p)
	}
	return r, nil
}

func runLengths(raw json.RawMessage, width, height int) (Region, error) {
	var m struct {
		Size   [2]int          `json:"size"` // rows, columns
		Counts json.RawMessage `json:"counts"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return Region{}, fmt.Errorf("its mask: %w", err)
	}
	if m.Size != [2]int{height, width} {
		return Region{}, fmt.Errorf("its mask has %dx%d pixels (width x height) and its image %dx%d", m.Size[1], m.Size[0], width, height)
	}
	var runs []int
	if json.Unmarshal(m.Counts, &runs) == nil {
		return Region{Runs: joined(runs)}, nil
	}
	var text string
	if err := json.Unmarshal(m.Counts, &text); err != nil {
		return Region{}, errors.New("its mask's counts are neither numbers nor a string")
	}
	runs, err := unpack(text)
	return Region{Runs: joined(runs)}, err
}

// unpack reads run lengths as COCO's API writes them into a string: five bits a
// letter, with sign, from the third on as the difference to the last but one.
func unpack(text string) ([]int, error) {
	var runs []int
	for at := 0; at < len(text); {
		n, more := 0, true
		for shift := 0; more; shift += 5 {
			if at == len(text) || shift > 30 {
				return nil, errors.New("its mask's counts are cut short")
			}
			c := int(text[at]) - 48
			if c < 0 || c > 63 {
				return nil, errors.New("its mask's counts hold a letter that COCO does not write")
			}
			at++
			n |= (c & 0x1f) << shift
			if more = c&0x20 != 0; !more && c&0x10 != 0 {
				n |= -1 << (shift + 5)
			}
		}
		if len(runs) > 2 {
			n += runs[len(runs)-2]
		}
		runs = append(runs, n)
	}
	return runs, nil
}

// joined leaves out runs of length 0, which some programs write.
func joined(runs []int) []int {
	var out []int
	for i := 0; i < len(runs); i++ {
		if runs[i] == 0 && i > 0 {
			if i+1 < len(runs) {
				out[len(out)-1] += runs[i+1]
			}
			i++
			continue
		}
		out = append(out, runs[i])
	}
	return out
}
