package phantom

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// stream is a source of chance for one purpose of one picture. Purposes have
// streams of their own so that turning one thing on (a shortcut, another size)
// leaves everything else about the same phantom as it was: a pair of pictures
// then differs in that one thing only.
type stream struct{ *rand.Rand }

func newStream(seed uint64, index int, purpose string) stream {
	sum := sha256.Sum256(fmt.Appendf(nil, "spinebox phantom %d %d %s", seed, index, purpose))
	return stream{rand.New(rand.NewPCG(
		binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))}
}

func (s stream) between(a, b float64) float64 { return a + (b-a)*s.Float64() }

func (s stream) chance(p float64) bool { return s.Float64() < p }

// sign returns -1 or 1.
func (s stream) sign() float64 {
	if s.chance(0.5) {
		return -1
	}
	return 1
}

// bell returns a normal deviate with the given standard deviation, cut at two
// of them so that no draw is absurd.
func (s stream) bell(sd float64) float64 {
	return sd * min(max(s.NormFloat64(), -2), 2)
}
