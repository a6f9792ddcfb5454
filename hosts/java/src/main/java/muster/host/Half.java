package muster.host;

/** 16-bit floats, for which Java 17 has no conversions. */
final class Half {
  private static final float SMALLEST = 0x1p-24f;

  private Half() {}

  /** The same number with 32 bits; every 16-bit float has one. */
  static float toFloat(short bits) {
    int sign = (bits & 0x8000) << 16;
    int exponent = bits >> 10 & 0x1f;
    int fraction = bits & 0x3ff;
    if (exponent == 0) {
      return Float.intBitsToFloat(Float.floatToRawIntBits(fraction * SMALLEST) | sign);
    }
    int wide = exponent == 0x1f ? 0xff : exponent + 112;
    return Float.intBitsToFloat(sign | wide << 23 | fraction << 13);
  }

  /**
   * The 16-bit float of exactly this value.
   *
   * @throws ArithmeticException there is none
   */
  static short of(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = bits >> 16 & 0x8000;
    int exponent = (bits >> 23 & 0xff) - 127;
    int fraction = bits & 0x7fffff;
    if (exponent >= -14) {
      if ((fraction & 0x1fff) != 0 || exponent > 15 && exponent != 128) {
        throw new ArithmeticException(value + " is no 16-bit float");
      }
      return (short) (sign | Math.min(exponent + 15, 0x1f) << 10 | fraction >> 13);
    }
    float steps = Math.abs(value) / SMALLEST;
    if (steps != (int) steps) {
      throw new ArithmeticException(value + " is no 16-bit float");
    }
    return (short) (sign | (int) steps);
  }
}
