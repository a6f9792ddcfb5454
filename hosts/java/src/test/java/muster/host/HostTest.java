package muster.host;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

/** Tests of the host, without a library: {@code java muster.host.HostTest} says what failed, and ends with status 1. */
final class HostTest {
  private static int failures;

  public static void main(String[] arguments) {
    test("every 16-bit float comes back, NaN as well", HostTest::halves);
    test("a number that is no 16-bit float is refused", () -> raised(() -> Half.of(0.1f), "no 16-bit float"));
    test("integers of all widths come back, unsigned ones as what they are", HostTest::integers);
    test("a UINT64 beyond 2^63 is rounded once", HostTest::unsignedDoubles);
    test("an integer that does not fit is told with its row", HostTest::outOfRange);
    test("NaN keeps its payload", HostTest::payload);
    test("a null is NaN among doubles, null among texts, and marked", HostTest::nulls);
    test("what stands in a null's place does not leave", HostTest::cleared);
    test("a null where none may be is refused", HostTest::notNullable);
    test("texts come back, with U+0000 and beyond the first plane", HostTest::texts);
    test("half of a surrogate pair is refused", HostTest::surrogates);
    test("an output that is not set is told by name", HostTest::notSet);
    test("JSON is read with escapes, and written", HostTest::json);
    test("JSON that is cut off is refused", () -> raised(() -> Json.parse("{\"a\": [1"), "no JSON"));
    test("frames: load, answer, error, stop", HostTest::frames);
    test("lines: load, answer, error", HostTest::lines);
    test("a class is made with what it is told, or with nothing", HostTest::constructors);
    System.out.println(failures == 0 ? "all passed" : failures + " failed");
    System.exit(failures == 0 ? 0 : 1);
  }

  private static boolean halves() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      if (Half.of(Half.toFloat((short) bits)) != (short) bits) {
        return false;
      }
    }
    return Half.toFloat((short) 0x3c00) == 1 && Half.toFloat((short) 1) == 0x1p-24f;
  }

  private static boolean integers() {
    for (Datatype datatype : Datatype.values()) {
      if (!datatype.isInteger()) {
        continue;
      }
      byte[] bytes = new byte[2 * datatype.bytes];
      Arrays.fill(bytes, datatype.bytes, bytes.length, (byte) 0xff);
      Field field = new Field("x", datatype, List.of(), false);
      long[] values = inputs(2, field, bytes, null).longs("x");
      boolean isNegative = !datatype.isUnsigned() || datatype == Datatype.UINT64;
      if (values[0] != 0 || (values[1] == -1) != isNegative) {
        return false;
      }
      Outputs outputs = new Outputs(2, List.of(field));
      outputs.set("x", values);
      if (!outputs.columns().get(0).data().equals(ByteBuffer.wrap(bytes))) {
        return false;
      }
    }
    return true;
  }

  private static boolean unsignedDoubles() {
    byte[] bytes = little(16).putLong(-1).putLong(Long.MIN_VALUE + 1).array();
    double[] values = inputs(2, new Field("x", Datatype.UINT64, List.of(), false), bytes, null).doubles("x");
    return values[0] == 0x1p64 && values[1] == 0x1p63;
  }

  private static boolean outOfRange() {
    Outputs outputs = new Outputs(2, List.of(new Field("x", Datatype.UINT8, List.of(), false)));
    return raised(() -> set(outputs, new long[] {1, 256}), "256 in row 1: no UINT8")
        && raised(() -> set(outputs, new long[] {1}), "1 values where 2 rows need 2");
  }

  private static boolean payload() {
    Field field = new Field("x", Datatype.FP64, List.of(2), true);
    byte[] bytes = little(16).putLong(0x7ff8000000000001L).putDouble(-0.0).array();
    Outputs outputs = new Outputs(1, List.of(field));
    outputs.set("x", inputs(1, field, bytes, null).doubles("x"));
    return outputs.columns().get(0).data().equals(ByteBuffer.wrap(bytes));
  }

  private static boolean nulls() {
    Field number = new Field("x", Datatype.FP64, List.of(), true);
    Inputs numbers = inputs(2, number, new byte[16], new byte[] {1, 0});
    Inputs texts = inputs(1, new Field("x", Datatype.BYTES, List.of(), true), new byte[4], new byte[] {1});
    return Double.isNaN(numbers.doubles("x")[0]) && numbers.doubles("x")[1] == 0 && numbers.nulls("x")[0] && texts.texts("x")[0] == null;
  }

  private static boolean cleared() {
    Outputs outputs =
        new Outputs(2, List.of(new Field("x", Datatype.FP64, List.of(), true), new Field("t", Datatype.BYTES, List.of(), true)));
    outputs.set("x", new double[] {1, 2});
    outputs.setNulls("x", new boolean[] {true, false});
    outputs.set("t", new String[] {"gone", "b"});
    outputs.setNulls("t", new boolean[] {true, false});
    List<Column> columns = outputs.columns();
    boolean isTextCleared = columns.get(1).data().equals(little(9).putInt(0).putInt(1).put((byte) 'b').flip());
    return columns.get(0).data().getDouble(0) == 0 && columns.get(0).data().getDouble(8) == 2 && isTextCleared;
  }

  private static boolean notNullable() {
    Outputs outputs = new Outputs(1, List.of(new Field("x", Datatype.BYTES, List.of(), false)));
    outputs.set("x", new String[] {null});
    return raised(outputs::columns, "is not nullable");
  }

  private static boolean texts() {
    Field field = new Field("x", Datatype.BYTES, List.of(), false);
    String[] given = {"", "ä\0", "\uD83D\uDE00", ""};
    Outputs outputs = new Outputs(4, List.of(field));
    outputs.set("x", given);
    String[] read = new Inputs(4, List.of(field), outputs.columns()).texts("x");
    return Arrays.equals(read, given);
  }

  private static boolean surrogates() {
    Outputs outputs = new Outputs(1, List.of(new Field("x", Datatype.BYTES, List.of(), false)));
    Callable<Object> deed =
        () -> {
          outputs.set("x", new String[] {"a\uD83D"});
          return null;
        };
    return raised(deed, "half of a surrogate pair in row 0");
  }

  private static boolean notSet() {
    return raised(() -> new Outputs(1, List.of(new Field("x", Datatype.BOOL, List.of(), false))).columns(), "\"x\" was not set");
  }

  private static boolean json() {
    Map<String, Object> read = Json.object(Json.parse("{\"a\": [1, \"\\u00e4\\n\", null, true], \"b\": {}}"));
    List<Object> elements = Json.list(read.get("a"));
    return elements.get(1).equals("ä\n")
        && elements.get(2) == null
        && elements.get(0).equals(new Json.Number("1"))
        && Json.quoted("a\"\\\n").equals("\"a\\\"\\\\\\u000a\"");
  }

  private static final String LOAD =
      "{\"protocol\":1,\"bundle\":\"/\",\"environment\":\"/\",\"entry\":\"\",\"threads\":1,"
          + "\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP64\",\"shape\":[],\"nullable\":false}],"
          + "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP64\",\"shape\":[],\"nullable\":false}]}";

  /** Doubles; a negative number is an error. */
  private static void doubled(Inputs in, Outputs out) {
    double[] values = in.doubles("x");
    for (int row = 0; row < values.length; row++) {
      if (values[row] < 0) {
        throw new IllegalStateException("asked to");
      }
      values[row] *= 2;
    }
    out.set("y", values);
  }

  private static boolean frames() throws Exception {
    ByteArrayOutputStream questions = new ByteArrayOutputStream();
    Frames asking = new Frames(new ByteArrayInputStream(new byte[0]), questions);
    asking.writeJson(Frames.LOAD, 0, LOAD);
    for (double value : new double[] {21, -1}) {
      ByteBuffer payload = little(16 + 8 + 16 + 8).putInt(1).putInt(0).putInt(1).putInt(0);
      questions.write(little(16).putInt(payload.capacity()).put(Frames.PREDICT).put((byte) 1).putShort((short) 0).putLong(7).array());
      questions.write(payload.putInt(1).putInt(1).putLong(8).putLong(0).putDouble(value).array());
    }
    asking.writeJson(Frames.STOP, 0, "");
    ByteArrayOutputStream answers = new ByteArrayOutputStream();
    int status = new Host(load -> HostTest::doubled).serve(new Frames(new ByteArrayInputStream(questions.toByteArray()), answers));
    Frames told = new Frames(new ByteArrayInputStream(answers.toByteArray()), answers);
    Frames.Frame loaded = told.read();
    Frames.Frame answer = told.read();
    Frames.Frame error = told.read();
    return status == 0
        && loaded.kind() == Frames.LOADED
        && answer.kind() == Frames.ANSWER
        && answer.sequence() == 7
        && answer.payload().getDouble(32 + 8 + 16) == 42
        && error.kind() == Frames.ERROR
        && StandardCharsets.UTF_8.decode(error.payload()).toString().contains("asked to")
        && told.read() == null;
  }

  private static boolean lines() throws Exception {
    String question = "{\"id\":\"%s\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":[%s]}]}\n";
    String asked = "{\"muster\":1,\"load\":" + LOAD + "}\n" + question.formatted(1, "0.1") + question.formatted(2, "-1");
    ByteArrayOutputStream answers = new ByteArrayOutputStream();
    ByteArrayInputStream questions = new ByteArrayInputStream(asked.getBytes(StandardCharsets.UTF_8));
    new Lines(new Host(load -> HostTest::doubled), questions, new PrintStream(answers)).serve();
    String[] told = answers.toString(StandardCharsets.UTF_8).split("\n");
    return told.length == 3
        && told[1].equals("{\"id\":\"1\",\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":[0.2]}]}")
        && told[2].startsWith("{\"id\":\"2\",\"error\":\"java.lang.IllegalStateException: asked to");
  }

  /** Is told. */
  public static final class Told implements Predictor {
    final Load load;

    public Told(Load load) {
      this.load = load;
    }

    @Override
    public void predict(Inputs in, Outputs out) {}
  }

  /** Is not. */
  public static final class Untold implements Predictor {
    public Untold() {}

    @Override
    public void predict(Inputs in, Outputs out) {}
  }

  private static boolean constructors() throws Exception {
    Load load = Load.of(Json.parse(LOAD));
    return ((Told) Main.made("muster.host.HostTest$Told", load)).load == load
        && Main.made("muster.host.HostTest$Untold", load) instanceof Untold
        && raised(() -> Main.made("java.lang.String", load), "does not implement muster.host.Predictor");
  }

  private static Object set(Outputs outputs, long[] values) {
    outputs.set("x", values);
    return outputs;
  }

  private static Inputs inputs(int rows, Field field, byte[] data, byte[] nulls) {
    return new Inputs(rows, List.of(field), List.of(new Column(ByteBuffer.wrap(data), nulls)));
  }

  private static ByteBuffer little(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void test(String claim, Callable<Boolean> isSo) {
    boolean passed = false;
    // What the host says of errors that are asked for is not to be seen.
    PrintStream log = System.err;
    System.setErr(new PrintStream(OutputStream.nullOutputStream()));
    try {
      passed = isSo.call();
    } catch (Exception error) {
      error.printStackTrace(System.out);
    } finally {
      System.setErr(log);
    }
    System.out.println((passed ? "ok     " : "FAILED ") + claim);
    failures += passed ? 0 : 1;
  }

  private static boolean raised(Callable<?> deed, String pattern) {
    try {
      deed.call();
      return false;
    } catch (Exception error) {
      return error.getMessage().contains(pattern);
    }
  }
}
