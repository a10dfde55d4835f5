package wire

import (
	"encoding/binary"
	"math"
)

// half returns the IEEE 754 binary16 nearest to f, ties to even. Values beyond
// 65504 become infinite; NaN stays NaN.
func half(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	exponent := int(bits>>23&0xff) - 127
	fraction := bits & 0x7fffff
	switch {
	case exponent == 128 && fraction != 0:
		return sign | 0x7e00 // NaN
	case exponent > 15:
		return sign | 0x7c00
	case exponent >= -14:
		// A fraction that rounds up over its ten bits carries into the
		// exponent, which is what the number then needs.
		return sign | uint16(uint32(exponent+15)<<10+roundShift(fraction, 13))
	case exponent >= -25:
		return sign | uint16(roundShift(fraction|0x800000, uint(-exponent-1))) // subnormal
	}
	return sign
}

// roundShift shifts v right by n, 1 to 24, to the nearest, ties to even.
func roundShift(v uint32, n uint) uint32 {
	whole, rest, tie := v>>n, v&(1<<n-1), uint32(1)<<(n-1)
	if rest > tie || rest == tie && whole&1 == 1 {
		whole++
	}
	return whole
}

// single returns the value of an IEEE 754 binary16, exactly.
func single(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero or subnormal: fraction × 2^-24
		f := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// halves writes the values as little-endian binary16.
func halves(values []float32) []byte {
	b := make([]byte, 0, 2*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, half(v))
	}
	return b
}

// singles reads what halves wrote.
func singles(b []byte) []float32 {
	values := make([]float32, len(b)/2)
	for i := range values {
		values[i] = single(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return values
}
