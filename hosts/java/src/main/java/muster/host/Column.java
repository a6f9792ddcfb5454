package muster.host;

import java.nio.ByteBuffer;

/**
 * A column as it is on the wire.
 *
 * @param data little-endian elements, row after row
 * @param nulls one byte per row, 1 where it is null; null where no row is
 */
record Column(ByteBuffer data, byte[] nulls) {
  boolean isNull(int row) {
    return nulls != null && nulls[row] != 0;
  }
}
