package train

import "math"

// score returns the mean negative log likelihood (natural logarithm) of the
// true classes, and the share of right answers, for logits divided by the
// temperature.
func score(logits [][]float32, truth []int, temperature float64) (loss, accuracy float64) {
	for i, row := range logits {
		top, greatest := 0, math.Inf(-1)
		for k, v := range row {
			if x := float64(v) / temperature; x > greatest {
				top, greatest = k, x
			}
		}
		var sum float64
		for _, v := range row {
			sum += math.Exp(float64(v)/temperature - greatest)
		}
		loss += math.Log(sum) + greatest - float64(row[truth[i]])/temperature
		if top == truth[i] {
			accuracy++
		}
	}
	n := float64(max(len(logits), 1))
	return loss / n, accuracy / n
}

// calibrate returns the temperature with the lowest loss, between 0.25 and 8
// (Guo et al. 2017), by golden-section search over its logarithm.
func calibrate(logits [][]float32, truth []int) float64 {
	at := func(x float64) float64 {
		loss, _ := score(logits, truth, math.Exp(x))
		return loss
	}
	lo, hi := math.Log(0.25), math.Log(8.0)
	ratio := (math.Sqrt(5) - 1) / 2
	for range 40 {
		a, b := hi-ratio*(hi-lo), lo+ratio*(hi-lo)
		if at(a) < at(b) {
			hi = b
		} else {
			lo = a
		}
	}
	return math.Exp((lo + hi) / 2)
}
