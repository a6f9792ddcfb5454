package muster.host;

/** What the elements of a field are. */
public enum Datatype {
  BOOL(1),
  UINT8(1),
  UINT16(2),
  UINT32(4),
  UINT64(8),
  INT8(1),
  INT16(2),
  INT32(4),
  INT64(8),
  FP16(2),
  FP32(4),
  FP64(8),
  /** Text; each element has a length of its own. */
  BYTES(0);

  /** Bytes of one element; 0 where each has its own length. */
  final int bytes;

  Datatype(int bytes) {
    this.bytes = bytes;
  }

  /** Whether it is one of the eight integers. */
  public boolean isInteger() {
    return isUnsigned() || name().startsWith("INT");
  }

  boolean isUnsigned() {
    return name().startsWith("UINT");
  }

  boolean isFloat() {
    return name().startsWith("FP");
  }
}
