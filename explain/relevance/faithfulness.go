package relevance

import (
	"fmt"
	"math"
)

// Answers asks the network: one probability of the explained class for each
// picture. Pictures are planes of one size, as the network's input wants them.
type Answers func(pictures []Plane) ([]float64, error)

// Steps of insertion and deletion.
const Steps = 20

// Asked is how many pictures Probe wants answers for: the picture, what the map
// shows of it, its blurred copy, and what lies between on the two ways.
const Asked = 3 + 2*(Steps-1)

// Faithfulness says whether the network's answer hangs on what its map marks.
type Faithfulness struct {
	Insertion float64 `json:"insertion"` // area under the answer while the map's cells come in, greatest first; more is better
	Deletion  float64 `json:"deletion"`  // the same while they are taken away; less is better
	Drop      float64 `json:"drop"`      // share of the answer that is lost when only what the map marks is shown, 0 to 1
	Increase  float64 `json:"increase"`  // 1 when the answer is greater then
}

// Probe measures it for one picture and its map on the picture's grid.
// Insertion and deletion follow Petsiuk et al. 2018 (arXiv 1806.07421) in 20
// steps between the picture and a blurred copy of it; drop and increase follow
// Chattopadhay et al. 2018 (arXiv 1710.11063), the picture being multiplied by
// the map scaled to 0–1. An empty map marks nothing: its cells have no order,
// and Probe returns an error.
func Probe(picture, m Plane, ask Answers) (Faithfulness, error) {
	if err := same(m, picture); err != nil {
		return Faithfulness{}, err
	}
	if m.Sum() <= 0 {
		return Faithfulness{}, fmt.Errorf("the map is zero everywhere: it has nothing to take away")
	}
	blurred := Blur(picture, float64(max(picture.Width, picture.Height))/20)
	order := descending(m.Values)
	pictures := []Plane{picture, shown(picture, m), blurred}
	pictures = append(pictures, mixtures(blurred, picture, order)...)
	pictures = append(pictures, mixtures(picture, blurred, order)...)
	p, err := ask(pictures)
	if err != nil {
		return Faithfulness{}, err
	}
	if len(p) != len(pictures) {
		return Faithfulness{}, fmt.Errorf("%d answers for %d pictures", len(p), len(pictures))
	}
	insertion, deletion := p[3:2+Steps], p[2+Steps:]
	f := Faithfulness{Insertion: area(p[2], insertion, p[0]), Deletion: area(p[0], deletion, p[2])}
	if p[0] > 0 {
		f.Drop = max(0, p[0]-p[1]) / p[0]
	}
	if p[1] > p[0] {
		f.Increase = 1
	}
	return f, nil
}

// mixtures are the Steps-1 pictures between one and the other, cell by cell in
// order.
func mixtures(from, to Plane, order []int) []Plane {
	all := make([]Plane, Steps-1)
	for k := range all {
		all[k] = NewPlane(from.Width, from.Height)
		copy(all[k].Values, from.Values)
		for _, i := range order[:(k+1)*len(order)/Steps] {
			all[k].Values[i] = to.Values[i]
		}
	}
	return all
}

// shown is the picture seen through the map.
func shown(picture, m Plane) Plane {
	out := NewPlane(picture.Width, picture.Height)
	for i, v := range unit(m) {
		out.Values[i] = float32(v) * picture.Values[i]
	}
	return out
}

// area under equally spaced values over 0–1, by trapezoids.
func area(first float64, between []float64, last float64) float64 {
	sum := (first + last) / 2
	for _, v := range between {
		sum += v
	}
	return sum / float64(len(between)+1)
}

// Blur returns the plane under a Gaussian of that standard deviation in cells,
// cut at three of them; beyond its edge the plane goes on as its edge is.
func Blur(p Plane, sigma float64) Plane {
	reach := int(math.Ceil(3 * sigma))
	kernel := make([]float32, 2*reach+1)
	var sum float64
	for i := range kernel {
		sum += gaussian(float64(i-reach) / sigma)
	}
	for i := range kernel {
		kernel[i] = float32(gaussian(float64(i-reach)/sigma) / sum)
	}
	pass := func(src []float32, n, lines, step, next int) []float32 {
		dst := make([]float32, len(src))
		for l := range lines {
			for i := range n {
				var v float32
				for k, w := range kernel {
					at := min(max(i+k-reach, 0), n-1)
					v += w * src[l*next+at*step]
				}
				dst[l*next+i*step] = v
			}
		}
		return dst
	}
	across := pass(p.Values, p.Width, p.Height, 1, p.Width)
	return Plane{p.Width, p.Height, pass(across, p.Height, p.Width, p.Width, 1)}
}

func gaussian(x float64) float64 { return math.Exp(-x * x / 2) }
