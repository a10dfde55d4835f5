package limits

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"spinebox/models/description"
	"spinebox/models/gate"
)

// fitView finds mean, principal axes and spreads of the rows.
func fitView(name string, rows [][]float32) gate.View {
	n, d := len(rows), len(rows[0])
	k := max(min(axes(name), n/4, d), 1)
	v := gate.View{
		View: description.View{Name: name, Length: d, Axes: k},
		Mean: make([]float32, d), Slopes: make([]float32, 0, k*d), Rest: 1,
	}
	x := mat.NewDense(n, d, nil)
	for j := range d {
		var sum float64
		for i := range n {
			sum += float64(rows[i][j])
		}
		mean := sum / float64(n)
		v.Mean[j] = float32(mean)
		for i := range n {
			x.Set(i, j, float64(rows[i][j])-mean)
		}
	}
	variances, slopes := principal(x, k)
	var total float64
	for _, row := range rows {
		for j, value := range row {
			total += float64(value-v.Mean[j]) * float64(value-v.Mean[j]) / float64(n)
		}
	}
	least := 1e-6
	if name == gate.Shape {
		least = leastShape
	}
	for i, variance := range variances {
		v.Spread = append(v.Spread, float32(max(math.Sqrt(variance), least)))
		v.Slopes = append(v.Slopes, slopes[i]...)
		total -= variance
	}
	if k < d {
		v.Rest = float32(math.Sqrt(max(total, 1e-12)))
	}
	return v
}

// principal returns the k greatest variances of the centred rows, and the axes
// along which they lie. The smaller of the two product matrices has both.
func principal(x *mat.Dense, k int) (variances []float64, slopes [][]float32) {
	n, d := x.Dims()
	var eigen mat.EigenSym
	var product mat.SymDense
	if d <= n {
		product.SymOuterK(1/float64(n), x.T())
	} else {
		product.SymOuterK(1/float64(n), x)
	}
	if !eigen.Factorize(&product, true) {
		panic("limits: the eigenvalues of a symmetric matrix do not converge")
	}
	values := eigen.Values(nil) // ascending
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	for i := range k {
		column := len(values) - 1 - i
		axis := mat.VecDenseCopyOf(vectors.ColView(column))
		if d > n {
			var long mat.VecDense
			long.MulVec(x.T(), axis)
			if norm := long.Norm(2); norm > 0 {
				long.ScaleVec(1/norm, &long)
			}
			axis = &long
		}
		variances = append(variances, max(values[column], 0))
		slopes = append(slopes, single(axis))
	}
	return variances, slopes
}

func single(v *mat.VecDense) []float32 {
	out := make([]float32, v.Len())
	for i := range out {
		out[i] = float32(v.AtVec(i))
	}
	return out
}
