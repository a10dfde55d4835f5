package winograd

// F(4,3): four outputs of three taps from six products, by the points 0, 1, -1,
// 2, -2 and infinity (Lavin and Gray 2015, section 4.3).
const (
	taps     = 3
	outputs  = 4
	products = outputs + taps - 1
)

// inputTransform is Bᵀ: products × products.
func inputTransform() [products][products]float32 {
	return [products][products]float32{
		{4, 0, -5, 0, 1, 0},
		{0, -4, -4, 1, 1, 0},
		{0, 4, -4, -1, 1, 0},
		{0, -2, -1, 2, 1, 0},
		{0, 2, -1, -2, 1, 0},
		{0, 4, 0, -5, 0, 1},
	}
}

// filterTransform is G, row by row: products × taps.
func filterTransform() []float32 {
	return []float32{
		1. / 4, 0, 0,
		-1. / 6, -1. / 6, -1. / 6,
		-1. / 6, 1. / 6, -1. / 6,
		1. / 24, 1. / 12, 1. / 6,
		1. / 24, -1. / 12, 1. / 6,
		0, 0, 1,
	}
}

// outputTransform is Aᵀ: outputs × products.
func outputTransform() [outputs][products]float32 {
	return [outputs][products]float32{
		{1, 1, 1, 1, 1, 0},
		{0, 1, -1, 2, -2, 0},
		{0, 1, 1, 4, 4, 0},
		{0, 1, -1, 8, -8, 1},
	}
}

// transforms returns the matrices for a picture of that many rows: into, of
// [products·tiles, rows], makes the six inputs of every tile from the picture's
// rows, all tiles of one product together; back, of [rows, products·tiles], makes
// the rows again. The zeros above and below the picture are rows left out.
func transforms(rows int64) (into, back []float32) {
	tiles := (rows + outputs - 1) / outputs
	into = make([]float32, products*tiles*rows)
	back = make([]float32, rows*products*tiles)
	b, a := inputTransform(), outputTransform()
	for t := range tiles {
		for p := range int64(products) {
			for k := range int64(products) {
				if row := t*outputs + k - 1; row >= 0 && row < rows {
					into[(p*tiles+t)*rows+row] = b[p][k]
				}
			}
			for k := range int64(outputs) {
				if row := t*outputs + k; row < rows {
					back[row*products*tiles+p*tiles+t] = a[k][p]
				}
			}
		}
	}
	return into, back
}
