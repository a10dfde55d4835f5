package phantom

import "math"

// Attenuation at the effective energy of a spine radiograph (70 to 90 kV),
// per millimetre, rounded from the usual tables (NIST XCOM near 50 keV):
// water 0.0226 at 50 keV and 0.0206 at 60; compact bone above water it
// displaces about 0.05.
const (
	softAttenuation = 0.020
	boneAttenuation = 0.048
)

// technique is how one exposure was made and then shown.
type technique struct {
	scatter   float64 // scattered ÷ primary radiation behind the grid
	noise     float64 // relative noise where the exposure is as metered
	blur      float64 // of focus and detector, mm
	equalise  float64 // share of the large-scale contrast taken out for display
	sharpen   float64 // edge enhancement for display
	mean      float64 // mean grey of the displayed picture
	trabecula float64 // relative contrast of the bones' texture
	mottle    float64 // relative contrast of the soft tissue's texture
}

func (s *scene) technique(c stream, view View) technique {
	t := technique{
		scatter: c.between(0.2, 0.7), noise: c.between(0.012, 0.03), blur: c.between(0.25, 0.5),
		equalise: c.between(0.5, 0.75), sharpen: c.between(0.3, 0.8), mean: c.between(0.34, 0.50),
		trabecula: c.between(0.07, 0.14), mottle: c.between(0.005, 0.012),
	}
	if view == Lateral {
		// A side view has fewer edges. More noise makes its files as large as
		// the others', so that their size does not give the view away.
		t.noise *= 1.35
		t.equalise += 0.1 // its soft tissue goes from nothing to all of the pelvis
	}
	return t
}

// expose turns the path lengths into a displayed picture, 0 to 1, bright where
// much was absorbed: Beer and Lambert's law, blur, scatter, quantum noise, then
// the logarithm and the display processing of a digital system. grain is the
// stream of the noise.
func (s *scene) expose(t technique, grain stream) []float32 {
	w, h, scale := s.soft.width, s.soft.height, s.camera.scale
	spare := make([]float32, w*h)
	s.texture(t, grain, spare)
	v := s.soft.v // from here on one plane is enough
	for i, bone := range s.bone.v {
		v[i] = float32(softAttenuation)*max(v[i], 0) + float32(boneAttenuation)*max(bone, 0)
	}
	blur(v, spare, w, h, t.blur*scale)
	metered := float32(meanOf(v))
	primary := s.bone.v
	for i, l := range v {
		primary[i] = float32(math.Exp(float64(metered - l)))
	}
	scattered := v
	copy(scattered, primary)
	blur(scattered, spare, w, h, 35*scale)
	dose := float32(t.scatter / (1 + t.scatter))
	for i, p := range primary {
		e := p*(1-dose) + scattered[i]*dose
		e += float32(t.noise) * float32(math.Sqrt(float64(e))) * float32(grain.NormFloat64())
		v[i] = -float32(math.Log(float64(max(e, 0.004))))
	}
	return display(v, primary, spare, w, h, scale, t)
}

// texture lays trabeculae over the bones and mottle over the soft tissue.
func (s *scene) texture(t technique, grain stream, spare []float32) {
	w, h, scale := s.soft.width, s.soft.height, s.camera.scale
	fine := make([]float32, w*h)
	for i := range fine {
		fine[i] = float32(grain.NormFloat64())
	}
	sigma := max(0.45*scale, 0.5)
	blur(fine, spare, w, h, sigma)
	// Averaging over a bell leaves 1 / (2 √π σ) of white noise.
	gain := float32(t.trabecula * 2 * math.Sqrt(math.Pi) * sigma)
	for i, f := range fine {
		s.bone.v[i] *= 1 + gain*f
	}
	sigma *= 4
	blur(fine, spare, w, h, sigma)
	gain = float32(t.mottle * 2 * math.Sqrt(math.Pi) * sigma)
	for i, f := range fine {
		s.soft.v[i] *= 1 + gain*f
	}
}

// display is the processing between detector and screen: take out part of the
// large-scale contrast so that chest and pelvis both show, enhance edges, clip
// the tails, and bring the mean to the technique's.
func display(v, coarse, spare []float32, w, h int, scale float64, t technique) []float32 {
	copy(coarse, v)
	blur(coarse, spare, w, h, 30*scale)
	share := float32(t.equalise)
	for i, c := range coarse {
		v[i] -= share * c
	}
	copy(coarse, v)
	blur(coarse, spare, w, h, max(1.6*scale, 1))
	edge := float32(t.sharpen)
	for i, c := range coarse {
		v[i] += edge * (v[i] - c)
	}
	lo, hi := tails(v, 0.004, 0.998)
	for i := range v {
		v[i] = min(max((v[i]-lo)/(hi-lo), 0), 1)
	}
	gamma(v, t.mean)
	return v
}

func meanOf(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x)
	}
	return sum / float64(len(v))
}

// histogram counts values over their range in equal bins.
type histogram struct {
	lo, step float64
	bins     [1024]int
	count    int
}

func histogramOf(v []float32) *histogram {
	lo, hi := v[0], v[0]
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	g := &histogram{lo: float64(lo), count: len(v)}
	g.step = max(float64(hi-lo), 1e-6) / float64(len(g.bins))
	scale := float32(1 / g.step)
	for _, x := range v {
		g.bins[min(max(int((x-lo)*scale), 0), len(g.bins)-1)]++
	}
	return g
}

// tails returns the values that the given shares of v lie below.
func tails(v []float32, low, high float64) (lo, hi float32) {
	g := histogramOf(v)
	at := func(share float64) float32 {
		left := int(share * float64(g.count))
		for i, n := range g.bins {
			if left -= n; left < 0 {
				return float32(g.lo + g.step*(float64(i)+0.5))
			}
		}
		return float32(g.lo + g.step*float64(len(g.bins)))
	}
	lo, hi = at(low), at(high)
	return lo, max(hi, lo+1e-4)
}

// gamma raises v, 0 to 1, to the power that gives it the wanted mean. So the
// mean grey says nothing about the class: it is the same draw for all.
func gamma(v []float32, mean float64) {
	g := histogramOf(v)
	meanAt := func(power float64) float64 {
		var sum float64
		for i, n := range g.bins {
			sum += float64(n) * math.Pow(max(g.lo+g.step*(float64(i)+0.5), 0), power)
		}
		return sum / float64(g.count)
	}
	low, high := 0.3, 3.0
	for range 24 {
		middle := (low + high) / 2
		if meanAt(middle) > mean {
			low = middle
		} else {
			high = middle
		}
	}
	table := make([]float32, 4097)
	for i := range table {
		table[i] = float32(math.Pow(float64(i)/4096, (low+high)/2))
	}
	for i, x := range v {
		at := x * 4096
		k := min(int(at), 4095)
		f := at - float32(k)
		v[i] = table[k] + f*(table[k+1]-table[k])
	}
}
