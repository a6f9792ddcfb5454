package musterhost

import "math"

// Half is a 16-bit float, as its bits: Go has no type of that size.
type Half uint16

// Float32 is the same number with 32 bits; every 16-bit float has one.
func (h Half) Float32() float32 {
	sign := uint32(h&0x8000) << 16
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h & 0x3ff)
	switch exponent {
	case 0: // zero or subnormal
		return math.Float32frombits(math.Float32bits(float32(fraction)*0x1p-24) | sign)
	case 0x1f: // infinite or not a number
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	default:
		return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
	}
}

// HalfOf is the 16-bit float of exactly this value; ok is false where there is none.
func HalfOf(value float32) (half Half, ok bool) {
	bits := math.Float32bits(value)
	sign := Half(bits>>16) & 0x8000
	exponent := int(bits>>23&0xff) - 127
	fraction := bits & 0x7fffff
	if exponent >= -14 {
		if fraction&0x1fff != 0 || exponent > 15 && exponent != 128 {
			return 0, false
		}
		return sign | Half(min(exponent+15, 0x1f))<<10 | Half(fraction>>13), true
	}
	steps := math.Abs(float64(value)) * 0x1p24 // of the smallest subnormal
	return sign | Half(steps), steps == math.Trunc(steps)
}
