package muster.host;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * Takes the columns of one answer: each output of the contract is set once, row after row.
 *
 * <p>An array that does not go with the datatype of the output, or has not as many elements as there are rows, is an {@link OutputBroken}.
 */
public final class Outputs {
  private final int rows;
  private final List<Field> fields;
  private final ByteBuffer[] data;
  private final byte[][] nulls;

  Outputs(int rows, List<Field> fields) {
    this.rows = rows;
    this.fields = fields;
    data = new ByteBuffer[fields.size()];
    nulls = new byte[fields.size()][];
  }

  /** How many rows every output has. */
  public int rows() {
    return rows;
  }

  /** The outputs of the contract, in its order. */
  public List<Field> fields() {
    return fields;
  }

  /** Sets an output of the datatype BOOL. */
  public void set(String name, boolean[] values) {
    ByteBuffer buffer = taken(name, values.length, datatype(name) == Datatype.BOOL, "boolean[]");
    for (boolean value : values) {
      buffer.put((byte) (value ? 1 : 0));
    }
  }

  /** Sets an output of any integer; UINT64 is taken by its bits. */
  public void set(String name, long[] values) {
    Datatype datatype = datatype(name);
    ByteBuffer buffer = taken(name, values.length, datatype.isInteger(), "long[]");
    int unused = 64 - 8 * datatype.bytes;
    for (int at = 0; at < values.length; at++) {
      long value = values[at];
      long kept = datatype.isUnsigned() ? value << unused >>> unused : value << unused >> unused;
      if (kept != value) {
        throw new OutputBroken("output \"" + name + "\" is " + value + " in row " + row(name, at) + ": no " + datatype);
      }
      switch (datatype.bytes) {
        case 1 -> buffer.put((byte) value);
        case 2 -> buffer.putShort((short) value);
        case 4 -> buffer.putInt((int) value);
        default -> buffer.putLong(value);
      }
    }
  }

  /** Sets an output of the datatype FP32, or FP16 where each value has one. */
  public void set(String name, float[] values) {
    Datatype datatype = datatype(name);
    boolean fits = datatype == Datatype.FP32 || datatype == Datatype.FP16;
    ByteBuffer buffer = taken(name, values.length, fits, "float[]");
    if (datatype == Datatype.FP32) {
      buffer.asFloatBuffer().put(values);
      return;
    }
    for (int at = 0; at < values.length; at++) {
      try {
        buffer.putShort(Half.of(values[at]));
      } catch (ArithmeticException error) {
        throw new OutputBroken("output \"" + name + "\" in row " + row(name, at) + ": " + error.getMessage());
      }
    }
  }

  /** Sets an output of the datatype FP64. In a nullable scalar NaN means null. */
  public void set(String name, double[] values) {
    taken(name, values.length, datatype(name) == Datatype.FP64, "double[]").asDoubleBuffer().put(values);
  }

  /** Sets an output of text. A null makes its row null. */
  public void set(String name, String[] values) {
    Field field = fields.get(index(name));
    require(name, values.length, field.datatype() == Datatype.BYTES, "String[]");
    byte[][] texts = new byte[values.length][];
    int size = 4 * values.length;
    boolean[] missing = new boolean[rows];
    boolean isAnyMissing = false;
    for (int at = 0; at < values.length; at++) {
      if (values[at] == null) {
        missing[at / field.elements()] = true;
        isAnyMissing = true;
      }
      texts[at] = values[at] == null ? new byte[0] : encoded(name, values[at], at);
      size = Math.addExact(size, texts[at].length);
    }
    ByteBuffer buffer = buffer(size);
    for (byte[] text : texts) {
      buffer.putInt(text.length).put(text);
    }
    data[index(name)] = buffer;
    if (isAnyMissing) {
      setNulls(name, missing);
    }
  }

  /** Says which rows of an output that has been set are null; what stands in these rows does not matter. */
  public void setNulls(String name, boolean[] missing) {
    int index = index(name);
    if (missing.length != rows) {
      throw new OutputBroken("output \"" + name + "\" has " + missing.length + " null marks for " + rows + " rows");
    }
    byte[] marks = new byte[rows];
    boolean isAny = false;
    for (int row = 0; row < rows; row++) {
      marks[row] = (byte) (missing[row] ? 1 : 0);
      isAny |= missing[row];
    }
    nulls[index] = isAny ? marks : null;
  }

  /** The columns in the order of the contract, with nothing in the place of a null. */
  List<Column> columns() {
    Column[] columns = new Column[data.length];
    for (int index = 0; index < data.length; index++) {
      Field field = fields.get(index);
      if (data[index] == null) {
        throw new OutputBroken("output \"" + field.name() + "\" was not set");
      }
      if (nulls[index] != null && !field.isNullable()) {
        throw new OutputBroken("output \"" + field.name() + "\" has a null and is not nullable");
      }
      data[index].clear();
      columns[index] = new Column(cleared(field, data[index], nulls[index]), nulls[index]);
    }
    return Arrays.asList(columns);
  }

  private ByteBuffer cleared(Field field, ByteBuffer data, byte[] nulls) {
    if (nulls == null) {
      return data;
    }
    if (field.datatype() == Datatype.BYTES) {
      return clearedTexts(field, data, nulls);
    }
    int width = field.datatype().bytes * field.elements();
    for (int row = 0; row < rows; row++) {
      if (nulls[row] != 0) {
        Arrays.fill(data.array(), row * width, (row + 1) * width, (byte) 0);
      }
    }
    return data;
  }

  private ByteBuffer clearedTexts(Field field, ByteBuffer data, byte[] nulls) {
    ByteBuffer kept = buffer(data.capacity());
    int at = 0;
    for (int index = 0; index < rows * field.elements(); index++) {
      int length = data.getInt(at);
      boolean isNull = nulls[index / field.elements()] != 0;
      kept.putInt(isNull ? 0 : length).put(data.array(), at + 4, isNull ? 0 : length);
      at += 4 + length;
    }
    return kept.flip();
  }

  private ByteBuffer taken(String name, int count, boolean fits, String given) {
    require(name, count, fits, given);
    ByteBuffer buffer = buffer(Math.multiplyExact(count, datatype(name).bytes));
    data[index(name)] = buffer;
    return buffer;
  }

  private void require(String name, int count, boolean fits, String given) {
    Field field = fields.get(index(name));
    if (!fits) {
      throw new OutputBroken("output \"" + name + "\" is " + field.datatype() + " and cannot be set by " + given);
    }
    if (count != rows * field.elements()) {
      throw new OutputBroken(
          "output \"" + name + "\" has " + count + " values where " + rows + " rows need " + rows * field.elements());
    }
  }

  private byte[] encoded(String name, String text, int at) {
    for (int index = 0; index < text.length(); index++) {
      if (Character.isSurrogate(text.charAt(index))) {
        if (!Character.isSupplementaryCodePoint(text.codePointAt(index))) {
          throw new OutputBroken(
              "output \"" + name + "\" holds half of a surrogate pair in row " + row(name, at));
        }
        index++;
      }
    }
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private int row(String name, int at) {
    return at / fields.get(index(name)).elements();
  }

  private Datatype datatype(String name) {
    return fields.get(index(name)).datatype();
  }

  private int index(String name) {
    for (int index = 0; index < fields.size(); index++) {
      if (fields.get(index).name().equals(name)) {
        return index;
      }
    }
    throw new OutputBroken("there is no output \"" + name + "\"");
  }

  private static ByteBuffer buffer(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }
}
