package muster.host.pmml;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import muster.host.Datatype;
import muster.host.Field;
import muster.host.Host;
import muster.host.Inputs;
import muster.host.Load;
import muster.host.OutputBroken;
import muster.host.Outputs;
import muster.host.Predictor;
import org.pmml4s.model.Model;

/**
 * Serves a PMML document, which {@code [runtime] model} names, with pmml4s.
 *
 * <p>Inputs are the document's active fields; a null is a missing value. Outputs are its {@code Output} fields, and where it has none,
 * those that pmml4s makes up: {@code predicted_left}, {@code probability_1}. A value that its output's datatype cannot hold exactly is an
 * error, never another value.
 */
public final class Main implements Predictor {
  /** No whole number of 64 bits has more digits; what a text claims is looked at before it is worked out. */
  private static final int MOST_DIGITS = 20;

  private final Model model;

  /**
   * Reads the document.
   *
   * @param load names it as entry
   */
  public Main(Load load) {
    model = Model.fromFile(load.bundle().resolve(load.entry()).toFile());
    require("input", names(load.inputs()), Arrays.asList(model.inputNames()));
    require("output", Arrays.asList(model.outputNames()), names(load.outputs()));
  }

  /**
   * Serves until Muster says that it is enough.
   *
   * @param arguments are not looked at
   */
  public static void main(String[] arguments) {
    Host.serve(Main::new);
  }

  @Override
  public void predict(Inputs in, Outputs out) {
    Map<String, Object[]> columns = new HashMap<>();
    for (Field field : in.fields()) {
      columns.put(field.name(), column(in, field));
    }
    Map<String, Object[]> answers = new HashMap<>();
    out.fields().forEach(field -> answers.put(field.name(), new Object[in.rows()]));
    for (int row = 0; row < in.rows(); row++) {
      Map<String, Object> asked = new HashMap<>();
      for (Map.Entry<String, Object[]> column : columns.entrySet()) {
        asked.put(column.getKey(), column.getValue()[row]);
      }
      Map<String, Object> answered = model.predict(asked);
      for (Map.Entry<String, Object[]> answer : answers.entrySet()) {
        answer.getValue()[row] = answered.get(answer.getKey());
      }
    }
    out.fields().forEach(field -> set(out, field, answers.get(field.name())));
  }

  private static List<String> names(List<Field> fields) {
    return fields.stream().map(Field::name).toList();
  }

  private static void require(String of, List<String> there, List<String> wanted) {
    List<String> missing = wanted.stream().filter(name -> !there.contains(name)).toList();
    if (!missing.isEmpty()) {
      String where = of.equals("input") ? "the contract" : "the document";
      throw new IllegalArgumentException(where + " has no " + of + " " + missing + "; it has " + there);
    }
  }

  /** An input as objects, null where it is null. */
  private static Object[] column(Inputs in, Field field) {
    if (field.elements() != 1) {
      throw new IllegalArgumentException("input \"" + field.name() + "\" is a tensor; PMML knows scalars");
    }
    String name = field.name();
    Object[] values = new Object[in.rows()];
    boolean[] nulls = in.nulls(name);
    boolean isWide = field.datatype() == Datatype.FP64 || field.datatype() == Datatype.FP32 || field.datatype() == Datatype.FP16;
    String[] texts = field.datatype() == Datatype.BYTES ? in.texts(name) : null;
    boolean[] truths = field.datatype() == Datatype.BOOL ? in.booleans(name) : null;
    double[] doubles = isWide ? in.doubles(name) : null;
    long[] longs = field.datatype().isInteger() ? in.longs(name) : null;
    for (int row = 0; row < values.length; row++) {
      if (nulls[row]) {
        continue;
      }
      if (texts != null) {
        values[row] = texts[row];
      } else if (truths != null) {
        values[row] = truths[row];
      } else if (doubles != null) {
        values[row] = doubles[row];
      } else if (field.datatype() == Datatype.UINT64 && longs[row] < 0) {
        String shown = Long.toUnsignedString(longs[row]);
        throw new IllegalArgumentException("input \"" + name + "\" is " + shown + " in row " + row + "; pmml4s has numbers up to 2^63 - 1");
      } else {
        values[row] = longs[row];
      }
    }
    return values;
  }

  /** Sets an output by objects; null, where there is no value, is null. */
  private static void set(Outputs out, Field field, Object[] values) {
    String name = field.name();
    boolean[] nulls = new boolean[values.length];
    for (int row = 0; row < values.length; row++) {
      nulls[row] = values[row] == null;
    }
    switch (field.datatype()) {
      case BYTES -> out.set(name, Arrays.stream(values).map(value -> value == null ? null : value.toString()).toArray(String[]::new));
      case BOOL -> {
        boolean[] truths = new boolean[values.length];
        filled(field, values, row -> truths[row] = truth(values[row]));
        out.set(name, truths);
      }
      case FP64 -> {
        double[] doubles = new double[values.length];
        filled(field, values, row -> doubles[row] = wide(values[row]));
        out.set(name, doubles);
      }
      case FP32, FP16 -> {
        float[] floats = new float[values.length];
        filled(field, values, row -> floats[row] = narrow(values[row]));
        out.set(name, floats);
      }
      default -> {
        long[] longs = new long[values.length];
        filled(field, values, row -> longs[row] = whole(values[row], field.datatype() == Datatype.UINT64));
        out.set(name, longs);
      }
    }
    out.setNulls(name, nulls);
  }

  /** Converts each value that is there. */
  private static void filled(Field field, Object[] values, IntConsumer converted) {
    for (int row = 0; row < values.length; row++) {
      if (values[row] == null) {
        continue;
      }
      try {
        converted.accept(row);
      } catch (ArithmeticException | NumberFormatException error) {
        throw new OutputBroken("output \"" + field.name() + "\" is " + values[row] + " in row " + row + ": no " + field.datatype());
      }
    }
  }

  /** A whole number, of UINT64 its bits. Classes of integers are texts where the document says so. */
  private static long whole(Object value, boolean isUnsigned) {
    BigInteger exact = decimal(value).toBigIntegerExact();
    if (exact.bitLength() > (isUnsigned ? 64 : 63) || isUnsigned && exact.signum() < 0) {
      throw new ArithmeticException();
    }
    return exact.longValue();
  }

  private static BigDecimal decimal(Object value) {
    if (value instanceof Boolean truth) {
      return truth ? BigDecimal.ONE : BigDecimal.ZERO;
    }
    if (value instanceof Double || value instanceof Float) {
      return new BigDecimal(((Number) value).doubleValue());
    }
    BigDecimal decimal = new BigDecimal(value.toString());
    if (decimal.precision() - (long) decimal.scale() > MOST_DIGITS) {
      throw new ArithmeticException();
    }
    return decimal;
  }

  /** A double; of a whole number the very one, of a text with a fraction the nearest. */
  private static double wide(Object value) {
    if (value instanceof Double || value instanceof Float) {
      return ((Number) value).doubleValue();
    }
    String text = value.toString();
    double nearest = Double.parseDouble(text);
    if (text.chars().allMatch(letter -> letter >= '0' && letter <= '9' || letter == '-')
        && new BigDecimal(nearest).compareTo(new BigDecimal(text)) != 0) {
      throw new ArithmeticException();
    }
    return nearest;
  }

  private static float narrow(Object value) {
    double wide = wide(value);
    float narrow = (float) wide;
    if (narrow != wide && !Double.isNaN(wide)) {
      throw new ArithmeticException();
    }
    return narrow;
  }

  private static boolean truth(Object value) {
    if (value instanceof Boolean truth) {
      return truth;
    }
    return switch (value.toString()) {
      case "true", "1", "1.0" -> true;
      case "false", "0", "0.0" -> false;
      default -> throw new ArithmeticException();
    };
  }
}
