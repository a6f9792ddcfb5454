package muster.host;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** The other wire: one JSON object per line. It carries the same columns, written as text. */
final class Lines {
  private static final long SAFE = 1L << 53;

  private final Host host;
  private final BufferedReader questions;
  private final PrintStream answers;

  Lines(Host host, InputStream questions, PrintStream answers) {
    this.host = host;
    this.questions = new BufferedReader(new InputStreamReader(questions, StandardCharsets.UTF_8));
    this.answers = answers;
  }

  /** Speaks until the input ends; gives the exit status. */
  int serve() throws IOException {
    for (String line = questions.readLine(); line != null; line = questions.readLine()) {
      Map<String, Object> question = Json.object(Json.parse(line));
      if (question.containsKey("load")) {
        try {
          host.load(question.get("load"));
        } catch (Exception | LinkageError error) {
          say("{\"error\":" + Json.quoted(host.told(error)) + "}");
          return 1;
        }
        say("{\"loaded\":" + Host.ABOUT + "}");
      } else {
        say("{\"id\":" + Json.quoted((String) question.get("id")) + "," + answered(Json.list(question.get("inputs"))) + "}");
      }
    }
    return 0;
  }

  private void say(String line) {
    answers.print(line + "\n");
    answers.flush();
  }

  private String answered(List<Object> inputs) {
    try {
      Object extent = Json.list(Json.object(inputs.get(0)).get("shape")).get(0);
      int rows = ((Json.Number) extent).toInt();
      List<Column> columns = new ArrayList<>();
      for (int index = 0; index < inputs.size(); index++) {
        List<Object> values = Json.list(Json.object(inputs.get(index)).get("data"));
        columns.add(column(host.load().inputs().get(index), rows, values));
      }
      List<Column> outputs = host.predict(new Frames.Table(rows, columns));
      StringJoiner texts = new StringJoiner(",", "\"outputs\":[", "]");
      for (int index = 0; index < outputs.size(); index++) {
        texts.add(text(host.load().outputs().get(index), rows, outputs.get(index)));
      }
      return texts.toString();
    } catch (Exception | StackOverflowError | LinkageError | AssertionError error) {
      return "\"error\":" + Json.quoted(host.told(error));
    }
  }

  /** A column of JSON values: integers beyond 2^53 and what is no finite number are texts. */
  private static Column column(Field field, int rows, List<Object> values) {
    byte[] nulls = new byte[rows];
    boolean isAnyNull = false;
    List<byte[]> texts = new ArrayList<>();
    int size = 0;
    for (int at = 0; at < values.size(); at++) {
      if (values.get(at) == null) {
        nulls[at / field.elements()] = 1;
        isAnyNull = true;
      }
      byte[] text = bytes(field.datatype(), values.get(at));
      texts.add(text);
      size = Math.addExact(size, text.length);
    }
    ByteBuffer data = ByteBuffer.allocate(size);
    texts.forEach(data::put);
    return new Column(data.flip(), isAnyNull ? nulls : null);
  }

  private static byte[] bytes(Datatype datatype, Object value) {
    if (datatype == Datatype.BYTES) {
      byte[] text = value == null ? new byte[0] : ((String) value).getBytes(StandardCharsets.UTF_8);
      return little(4 + text.length).putInt(text.length).put(text).array();
    }
    ByteBuffer buffer = little(datatype.bytes);
    if (value == null) {
      return buffer.array();
    }
    String text = value instanceof Json.Number number ? number.text() : value.toString();
    switch (datatype) {
      case BOOL -> buffer.put((byte) (Boolean.TRUE.equals(value) ? 1 : 0));
      case FP16 -> buffer.putShort(Half.of(Float.parseFloat(text)));
      case FP32 -> buffer.putFloat(Float.parseFloat(text));
      case FP64 -> buffer.putDouble(Double.parseDouble(text));
      default -> {
        long number = datatype == Datatype.UINT64 ? Long.parseUnsignedLong(text) : Long.parseLong(text);
        buffer.put(little(8).putLong(number).flip().limit(datatype.bytes));
      }
    }
    return buffer.array();
  }

  private static String text(Field field, int rows, Column column) {
    StringJoiner shape = new StringJoiner(",", "[", "]").add(Integer.toString(rows));
    field.shape().forEach(extent -> shape.add(extent.toString()));
    StringJoiner values = new StringJoiner(",", "[", "]");
    ByteBuffer data = column.data().slice().order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at < rows * field.elements(); at++) {
      String value = text(field.datatype(), data);
      values.add(column.isNull(at / field.elements()) ? "null" : value);
    }
    String head = "{\"name\":" + Json.quoted(field.name()) + ",\"datatype\":\"" + field.datatype() + "\",\"shape\":";
    return head + shape + ",\"data\":" + values + "}";
  }

  private static String text(Datatype datatype, ByteBuffer data) {
    return switch (datatype) {
      case BOOL -> data.get() != 0 ? "true" : "false";
      case UINT8 -> Integer.toString(Byte.toUnsignedInt(data.get()));
      case INT8 -> Byte.toString(data.get());
      case UINT16 -> Integer.toString(Short.toUnsignedInt(data.getShort()));
      case INT16 -> Short.toString(data.getShort());
      case UINT32 -> Integer.toUnsignedString(data.getInt());
      case INT32 -> Integer.toString(data.getInt());
      case UINT64 -> unsigned(data.getLong());
      case INT64 -> signed(data.getLong());
      case FP16 -> number(Half.toFloat(data.getShort()));
      case FP32 -> number(data.getFloat());
      case FP64 -> number(data.getDouble());
      case BYTES -> {
        byte[] text = new byte[data.getInt()];
        data.get(text);
        yield Json.quoted(new String(text, StandardCharsets.UTF_8));
      }
    };
  }

  private static String signed(long value) {
    return value > SAFE || value < -SAFE ? "\"" + value + "\"" : Long.toString(value);
  }

  private static String unsigned(long value) {
    String text = Long.toUnsignedString(value);
    return value < 0 || value > SAFE ? "\"" + text + "\"" : text;
  }

  private static String number(double value) {
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      return "\"" + value + "\"";
    }
    return Double.toString(value); // gives the same bits back; before JDK 19 sometimes with one digit too many
  }

  private static ByteBuffer little(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }
}
