// 16-bit floats: JavaScript has no array of them, so models see Float32Array, which holds each of them exactly.

/**
 * The same numbers with 32 bits, not-a-numbers with their bits.
 *
 * @param {Uint16Array} halves bit patterns
 * @returns {Float32Array}
 */
export function floatOfHalf(halves) {
  const floats = new Float32Array(halves.length);
  const bits = new Uint32Array(floats.buffer);
  for (let at = 0; at < halves.length; at++) {
    const sign = (halves[at] & 0x8000) << 16;
    const exponent = (halves[at] >> 10) & 0x1f;
    const fraction = halves[at] & 0x3ff;
    if (exponent === 0) {
      floats[at] = fraction * 2 ** -24; // zero or subnormal: exact in 32 bits
      bits[at] |= sign;
    } else {
      const wider = exponent === 0x1f ? 0xff : exponent + 112;
      bits[at] = sign | (wider << 23) | (fraction << 13);
    }
  }
  return floats;
}

/**
 * The same numbers with 16 bits, or null where one of them is no 16-bit float.
 *
 * @param {Float32Array} floats
 * @returns {Uint16Array | null}
 */
export function halfOfFloat(floats) {
  const halves = new Uint16Array(floats.length);
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  for (let at = 0; at < floats.length; at++) {
    const sign = (bits[at] >>> 16) & 0x8000;
    const exponent = ((bits[at] >>> 23) & 0xff) - 127;
    const fraction = bits[at] & 0x7fffff;
    if (exponent === 128 || exponent >= -14) {
      if (fraction & 0x1fff || (exponent > 15 && exponent !== 128)) return null;
      halves[at] = sign | (Math.min(exponent + 15, 0x1f) << 10) | (fraction >> 13);
    } else {
      const steps = Math.abs(floats[at]) * 2 ** 24; // of the smallest subnormal
      if (!Number.isInteger(steps)) return null;
      halves[at] = sign | steps;
    }
  }
  return halves;
}
