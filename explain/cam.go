// Package explain turns what a network saw into something a person can judge:
// class activation maps from activations and gradients, the map brought back
// onto the X-ray exactly, colours that a colour-blind reader can tell apart,
// and the pictures that show it all. It is arithmetic on flat tensors and knows
// nothing of TensorFlow.
//
// Most callers need two calls: Method.Heatmap makes the map that is kept and
// sent (raw, on the network's own grid), and Overlay draws it on the X-ray for
// a person. Display scaling happens in the drawing alone: a stored map is never
// stretched, so that two maps can be compared.
//
// A map that is zero everywhere is never drawn: an evenly blue picture would
// look like an answer. ErrEmpty says so instead.
package explain

import (
	"fmt"
	"math"

	"spinebox/internal/spine"
)

// Method is a way to make a heatmap.
type Method string

const (
	MethodGradCAM  Method = "gradcam"
	MethodHiResCAM Method = "hirescam"
)

// ErrEmpty says that a map is zero everywhere: no evidence for the class was
// found, so there is nothing to draw. It carries the code heatmap-empty.
var ErrEmpty = spine.Faultf(spine.HeatmapEmpty, "the heatmap is zero everywhere")

// ParseMethod returns the method of that name.
func ParseMethod(name string) (Method, error) {
	switch m := Method(name); m {
	case MethodGradCAM, MethodHiResCAM:
		return m, nil
	}
	return "", fmt.Errorf("unknown heatmap method %q: use %q or %q", name, MethodGradCAM, MethodHiResCAM)
}

// Title returns the method's name as its authors write it.
func (m Method) Title() string {
	switch m {
	case MethodGradCAM:
		return "Grad-CAM"
	case MethodHiResCAM:
		return "HiResCAM"
	}
	return string(m)
}

// Heatmap makes the map of one image by the method m. See GradCAM for the
// arguments.
func (m Method) Heatmap(activations, gradients []float32, h, w, c int, content spine.Rect) (*spine.Heatmap, error) {
	switch m {
	case MethodGradCAM:
		return GradCAM(activations, gradients, h, w, c, content)
	case MethodHiResCAM:
		return HiResCAM(activations, gradients, h, w, c, content)
	}
	_, err := ParseMethod(string(m))
	return nil, err
}

// block is how many channels are in hand at a time: their weights stay in the
// first-level cache and on the stack, so that a map costs no scratch memory
// however many channels the layer has.
const block = 512

// GradCAM returns ReLU(Σₖ αₖAₖ), where Aₖ is channel k of the activations and
// αₖ the mean of its gradient over all h×w positions (Selvaraju et al. 2017,
// arXiv:1610.02391, equations 1 and 2).
//
// activations and gradients are one image's [h,w,c] tensors, row-major as
// TensorFlow's NHWC lays them out, the gradients being those of a class's
// logit. (A probability's gradient vanishes when the network is sure, and the
// map with it.) content is the part of the input that the picture covers, see
// input.Frame.Content. The map is not scaled.
//
// Tensors of the wrong length, a content outside of 0 to 1, and values that are
// not finite are errors. A map without any positive value is not: the caller
// asks Heatmap.Empty.
func GradCAM(activations, gradients []float32, h, w, c int, content spine.Rect) (*spine.Heatmap, error) {
	if err := checkTensors(activations, gradients, h, w, c, content); err != nil {
		return nil, fmt.Errorf("grad-cam: %w", err)
	}
	sums := make([]float32, h*w)
	var weights [block]float32
	for k := 0; k < c; k += block {
		alpha := weights[:min(block, c-k)]
		clear(alpha)
		for p := range sums {
			add(alpha, gradients[p*c+k:])
		}
		for i := range alpha {
			alpha[i] /= float32(h * w)
		}
		for p := range sums {
			sums[p] += dot(alpha, activations[p*c+k:])
		}
	}
	m, err := rectified(sums, w, h, content)
	if err != nil {
		return nil, fmt.Errorf("grad-cam: %w", culprit(activations, gradients, w, c, err))
	}
	return m, nil
}

// HiResCAM returns ReLU(Σₖ Gₖ∘Aₖ): every position is weighted by its own
// gradient instead of the channel's mean, so that the map shows what the logit
// was computed from even when the head is not global average pooling (Draelos
// and Carin 2020, arXiv:2011.08891, equation 7). Arguments and errors are
// GradCAM's.
func HiResCAM(activations, gradients []float32, h, w, c int, content spine.Rect) (*spine.Heatmap, error) {
	if err := checkTensors(activations, gradients, h, w, c, content); err != nil {
		return nil, fmt.Errorf("hirescam: %w", err)
	}
	sums := make([]float32, h*w)
	for p := range sums {
		sums[p] = dot(gradients[p*c:(p+1)*c], activations[p*c:])
	}
	m, err := rectified(sums, w, h, content)
	if err != nil {
		return nil, fmt.Errorf("hirescam: %w", culprit(activations, gradients, w, c, err))
	}
	return m, nil
}

func checkTensors(activations, gradients []float32, h, w, c int, content spine.Rect) error {
	switch {
	case h < 1 || w < 1 || c < 1:
		return fmt.Errorf("no tensor has the shape [%d,%d,%d]", h, w, c)
	case len(activations) != h*w*c:
		return fmt.Errorf("%d activations for a tensor of [%d,%d,%d]", len(activations), h, w, c)
	case len(gradients) != h*w*c:
		return fmt.Errorf("%d gradients for a tensor of [%d,%d,%d]", len(gradients), h, w, c)
	}
	return checkContent(content)
}

func checkContent(r spine.Rect) error {
	// Written so that NaN fails too.
	if !(0 <= r.X0 && r.X0 < r.X1 && r.X1 <= 1 && 0 <= r.Y0 && r.Y0 < r.Y1 && r.Y1 <= 1) {
		return fmt.Errorf("the picture's place in the input, %v, is no rectangle within 0 to 1", r)
	}
	return nil
}

// rectified makes the map of the sums. One bad value anywhere in the tensors
// reaches a sum (0·NaN and 0·∞ are NaN, and sums keep either), so looking at
// the h×w sums is enough: the tensors themselves, a hundred thousand values,
// are not read twice.
func rectified(sums []float32, w, h int, content spine.Rect) (*spine.Heatmap, error) {
	var greatest float32
	for i, v := range sums {
		if v-v != 0 { // NaN or an infinity
			return nil, fmt.Errorf("the map is %v at row %d, column %d", v, i/w, i%w)
		}
		sums[i] = max(v, 0)
		greatest = max(greatest, v)
	}
	return &spine.Heatmap{Width: w, Height: h, Values: sums, Max: greatest, Content: content}, nil
}

// culprit says which value made the map not finite; err when every value was
// finite and the sum overflowed.
func culprit(activations, gradients []float32, w, c int, err error) error {
	for _, t := range []struct {
		name   string
		values []float32
	}{{"activation", activations}, {"gradient", gradients}} {
		for i, v := range t.values {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("an %s is not finite: %v at row %d, column %d, channel %d",
					t.name, v, i/c/w, i/c%w, i%c)
			}
		}
	}
	return err
}

// add adds src to dst, as far as dst reaches.
func add(dst, src []float32) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] += v
	}
}

// dot returns the inner product of a and as much of b. Four sums side by side:
// each addition need not wait for the one before.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += v * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}
