package modeltest

import (
	"hash/fnv"
	"math"
	"strings"

	"spinebox/models/nets"
)

// Formula is the number for one element of models/nets/testdata/README.md, -1 to
// 1: Keras and the tests compute the same weights and pictures from it.
func Formula(name string, i int) float64 {
	h := fnv.New32a()
	h.Write([]byte(name))
	x := h.Sum32() + uint32(i)*0x9E3779B9
	x ^= x >> 16
	x *= 0x85EBCA6B
	x ^= x >> 13
	x *= 0xC2B2AE35
	x ^= x >> 16
	return float64(x)/(1<<31) - 1
}

// FormulaWeights returns the weights that keras_reference.py gives Keras.
func FormulaWeights(specs []nets.Spec) nets.Weights {
	w := nets.Weights{}
	for _, s := range specs {
		layer, kind, _ := strings.Cut(s.Name, "/")
		last := strings.HasSuffix(layer, "_3_bn")
		value := func(float64) float64 { return 0 }
		switch kind {
		case "kernel":
			fan, gain := 1.0, 1.0
			for _, d := range s.Shape[:len(s.Shape)-1] {
				fan *= float64(d)
			}
			switch layer {
			case "conv1_conv", "block1_conv1":
				gain = 1.0 / 64
			case "predictions":
				gain = 1.0 / 4
			}
			limit := gain * math.Sqrt(6/fan)
			value = func(u float64) float64 { return limit * u }
		case "bias":
			value = func(u float64) float64 { return 0.05 * u }
		case "gamma":
			value = func(u float64) float64 {
				if last {
					return (1 + 0.2*u) / 4
				}
				return 1 + 0.2*u
			}
		case "beta":
			value = func(u float64) float64 {
				if last {
					return 0.1 * u
				}
				return 0.1*u + 1.5
			}
		case "moving_mean":
			value = func(u float64) float64 { return 0.1 * u }
		case "moving_variance":
			value = func(u float64) float64 { return 1 + 0.5*u }
		}
		values := make([]float32, s.Size())
		for i := range values {
			values[i] = float32(value(Formula(s.Name, i)))
		}
		w[s.Name] = values
	}
	return w
}

// FormulaPicture returns the batch of pictures of that name, [n,h,w,3].
func FormulaPicture(name string, n, h, w int) []float32 {
	values := make([]float32, n*h*w*3)
	ch, cw := (h+15)/16, (w+15)/16
	i := 0
	for k := range n {
		for y := range h {
			for x := range w {
				for c := range 3 {
					j := ((k*ch+y/16)*cw+x/16)*3 + c
					values[i] = float32(127.5 + 100*Formula(name+"/coarse", j) + 27.5*Formula(name+"/fine", i))
					i++
				}
			}
		}
	}
	return values
}
