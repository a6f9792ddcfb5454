package muster.host;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * The inputs of one question, column by column.
 *
 * <p>Every method gives an array of its own, row after row; of a tensor each row has {@link Field#elements} elements. A method that does not
 * go with the datatype of the input, or a name that the contract does not have, is an {@link IllegalArgumentException}.
 */
public final class Inputs {
  private final int rows;
  private final List<Field> fields;
  private final List<Column> columns;

  Inputs(int rows, List<Field> fields, List<Column> columns) {
    if (fields.size() != columns.size()) {
      throw new IllegalArgumentException(
          "a table of " + columns.size() + " columns, the contract has " + fields.size() + " inputs");
    }
    this.rows = rows;
    this.fields = fields;
    this.columns = columns;
  }

  /** How many rows were asked for. */
  public int rows() {
    return rows;
  }

  /** The inputs of the contract, in its order. */
  public List<Field> fields() {
    return fields;
  }

  /** Which rows are null. */
  public boolean[] nulls(String name) {
    Column column = columns.get(index(name));
    boolean[] nulls = new boolean[rows];
    for (int row = 0; row < rows; row++) {
      nulls[row] = column.isNull(row);
    }
    return nulls;
  }

  /** An input of the datatype BOOL; false where it is null. */
  public boolean[] booleans(String name) {
    ByteBuffer data = data(name, field(name).datatype() == Datatype.BOOL);
    boolean[] values = new boolean[data.remaining()];
    for (int at = 0; at < values.length; at++) {
      values[at] = data.get(at) != 0;
    }
    return values;
  }

  /** An input of any integer; 0 where it is null. UINT64 beyond 2^63 is negative: see {@link Long#toUnsignedString}. */
  public long[] longs(String name) {
    Field field = field(name);
    ByteBuffer data = data(name, field.datatype().isInteger());
    long[] values = new long[data.remaining() / field.datatype().bytes];
    if (field.datatype().bytes == 8) {
      data.asLongBuffer().get(values);
      return values;
    }
    for (int at = 0; at < values.length; at++) {
      values[at] =
          switch (field.datatype()) {
            case INT8 -> data.get(at);
            case UINT8 -> Byte.toUnsignedLong(data.get(at));
            case INT16 -> data.getShort(2 * at);
            case UINT16 -> Short.toUnsignedLong(data.getShort(2 * at));
            case INT32 -> data.getInt(4 * at);
            default -> Integer.toUnsignedLong(data.getInt(4 * at));
          };
    }
    return values;
  }

  /** An input of the datatype FP32 or FP16; 0 where it is null. */
  public float[] floats(String name) {
    Field field = field(name);
    ByteBuffer data = data(name, field.datatype() == Datatype.FP32 || field.datatype() == Datatype.FP16);
    float[] values = new float[data.remaining() / field.datatype().bytes];
    if (field.datatype() == Datatype.FP32) {
      data.asFloatBuffer().get(values);
      return values;
    }
    for (int at = 0; at < values.length; at++) {
      values[at] = Half.toFloat(data.getShort(2 * at));
    }
    return values;
  }

  /** An input of any numbers or truth values; NaN where it is null. Integers beyond 2^53 are rounded. */
  public double[] doubles(String name) {
    Field field = field(name);
    double[] values =
        switch (field.datatype()) {
          case BYTES -> throw mistaken(name);
          case BOOL -> converted(booleans(name));
          case FP16, FP32 -> converted(floats(name));
          case FP64 -> new double[rows * field.elements()];
          case UINT64 -> unsigned(longs(name));
          default -> converted(longs(name));
        };
    Column column = columns.get(index(name));
    if (field.datatype() == Datatype.FP64) {
      data(name, true).asDoubleBuffer().get(values);
    }
    for (int at = 0; at < values.length && column.nulls() != null; at++) {
      if (column.isNull(at / field.elements())) {
        values[at] = Double.NaN;
      }
    }
    return values;
  }

  /** An input of text; null where it is null. */
  public String[] texts(String name) {
    Field field = field(name);
    ByteBuffer data = data(name, field.datatype() == Datatype.BYTES);
    Column column = columns.get(index(name));
    String[] values = new String[rows * field.elements()];
    byte[] bytes = new byte[data.remaining()];
    data.get(0, bytes);
    int at = 0;
    for (int index = 0; index < values.length; index++) {
      int length = data.getInt(at);
      if (!column.isNull(index / field.elements())) {
        values[index] = new String(bytes, at + 4, length, StandardCharsets.UTF_8);
      }
      at += 4 + length;
    }
    return values;
  }

  private Field field(String name) {
    return fields.get(index(name));
  }

  private int index(String name) {
    for (int index = 0; index < fields.size(); index++) {
      if (fields.get(index).name().equals(name)) {
        return index;
      }
    }
    throw new IllegalArgumentException("there is no input \"" + name + "\"");
  }

  private ByteBuffer data(String name, boolean fits) {
    if (!fits) {
      throw mistaken(name);
    }
    return columns.get(index(name)).data().slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  private IllegalArgumentException mistaken(String name) {
    return new IllegalArgumentException("input \"" + name + "\" is " + field(name).datatype() + " and cannot be read so");
  }

  private static double[] converted(boolean[] values) {
    double[] wide = new double[values.length];
    for (int at = 0; at < wide.length; at++) {
      wide[at] = values[at] ? 1 : 0;
    }
    return wide;
  }

  private static double[] converted(float[] values) {
    double[] wide = new double[values.length];
    for (int at = 0; at < wide.length; at++) {
      wide[at] = values[at];
    }
    return wide;
  }

  private static double[] converted(long[] values) {
    double[] wide = new double[values.length];
    for (int at = 0; at < wide.length; at++) {
      wide[at] = values[at];
    }
    return wide;
  }

  private static double[] unsigned(long[] values) {
    double[] wide = new double[values.length];
    for (int at = 0; at < wide.length; at++) {
      // The lowest bit of a number beyond 2^63 is kept in the half, so that it is rounded once.
      wide[at] = values[at] >= 0 ? values[at] : ((values[at] >>> 1 | values[at] & 1) * 2.0);
    }
    return wide;
  }
}
