// Package gate tells how far a picture is from the X-rays that a model was
// trained on. A network answers for whatever it is given, a chest and a page of
// text included, and is often sure of it; so the question whether a picture is
// a spine has an answer of its own.
//
// A picture is looked at in five ways, each a row of numbers: its grey layout,
// its edges, its texture, its shape, and the network's features. In each, the
// training pictures have a mean and principal axes. The distance is that along
// the axes (Mahalanobis) or that from the plane they span, whichever is greater
// (Turk and Pentland's distances in and from face space, 1991), and is counted
// in units of what spines have that were not in the training.
//
// Most callers need three calls: Open, See, Gate.Distance. It costs a quarter of
// a millisecond, beside a network's tens.
package gate

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"spinebox/internal/spine"
	"spinebox/models/description"
)

// FileName is where Write puts a gate's numbers in a model folder.
const FileName = "gate.bin"

// Gate is the training pictures' place in each view.
type Gate struct{ Views []View }

// View is the training pictures' place in one view.
type View struct {
	description.View
	Mean   []float32 // [Length]
	Slopes []float32 // [Axes][Length], the principal axes, of length 1
	Spread []float32 // [Axes], the standard deviation along each
	Rest   float32   // root mean square of what the axes leave over
}

// Open reads the gate that the description of the model folder dir speaks of.
func Open(dir string, d *description.Gate) (*Gate, error) {
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(d.File)))
	if err != nil {
		return nil, fmt.Errorf("open gate: %w", err)
	}
	g := new(Gate)
	take := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		raw = raw[4*n:]
		return v
	}
	for _, v := range d.Views {
		if len(raw) < 4*v.Values() {
			return nil, fmt.Errorf("open gate: %s is too short for the view %s", d.File, v.Name)
		}
		view := View{View: v, Mean: take(v.Length), Slopes: take(v.Axes * v.Length), Spread: take(v.Axes), Rest: take(1)[0]}
		if err := view.check(); err != nil {
			return nil, fmt.Errorf("open gate: %w", err)
		}
		g.Views = append(g.Views, view)
	}
	return g, nil
}

// check finds what would make every distance infinite or none.
func (v *View) check() error {
	for _, s := range append([]float32{v.Rest}, v.Spread...) {
		if !(s > 0) || math.IsInf(float64(s), 0) {
			return fmt.Errorf("view %s: a spread of %v", v.Name, s)
		}
	}
	return nil
}

// Write writes the gate's numbers into the model folder dir and returns what
// its description says of them.
func (g *Gate) Write(dir string) (*description.Gate, error) {
	d := &description.Gate{Version: description.GateVersion, File: FileName}
	var raw []byte
	for _, v := range g.Views {
		d.Views = append(d.Views, v.View)
		for _, part := range [][]float32{v.Mean, v.Slopes, v.Spread, {v.Rest}} {
			for _, x := range part {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), raw, 0o644); err != nil {
		return nil, fmt.Errorf("write gate: %w", err)
	}
	return d, nil
}

// Distance says how far what was seen is from the training pictures. A view
// that the gate has and the picture was not seen in counts nothing: a model
// without an explain signature has no features.
func (g *Gate) Distance(s Seen) spine.Distance {
	var d spine.Distance
	for i := range g.Views {
		v := &g.Views[i]
		x := s.Of(v.Name)
		if len(x) != v.Length {
			continue
		}
		far := v.Units(v.Raw(x))
		if v.Name == Features {
			d.Features = far
		} else {
			d.Picture = math.Hypot(d.Picture, far)
		}
	}
	return d
}

// Raw returns the view's own distance of x, of the root mean square kind: about
// 1 for a training picture.
func (v *View) Raw(x []float32) float64 {
	centred := make([]float32, v.Length)
	for i, m := range v.Mean {
		centred[i] = x[i] - m
	}
	all := float64(dot(centred, centred))
	var within, scaled float64
	for k, spread := range v.Spread {
		at := float64(dot(v.Slopes[k*v.Length:(k+1)*v.Length], centred))
		within += at * at
		scaled += at / float64(spread) * at / float64(spread)
	}
	along := math.Sqrt(scaled / float64(v.Axes))
	if v.Axes == v.Length { // nothing is left over but rounding
		return along
	}
	return max(along, math.Sqrt(max(all-within, 0))/float64(v.Rest))
}

// dot is the product of two rows, in four sums so that none waits for another.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// Units turns the view's own distance into units in which half of the unseen
// spines have 0 and one of twenty has more than 1.
func (v *View) Units(raw float64) float64 {
	return max(0, (raw-v.Middle)/(v.Tail-v.Middle))
}
