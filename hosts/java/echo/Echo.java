import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import muster.host.Field;
import muster.host.Inputs;
import muster.host.Outputs;
import muster.host.Predictor;

/** The echo model of the conformance kit: gives back what it is given, and does what the texts of {@code act} ask for. */
public final class Echo implements Predictor {
  private final List<byte[]> held = new ArrayList<>();

  @Override
  public void predict(Inputs in, Outputs out) throws InterruptedException {
    for (Field field : in.fields()) {
      if (field.name().equals("act")) {
        for (String text : in.texts("act")) {
          act(text);
        }
      }
    }
    for (Field field : in.fields()) {
      String name = field.name();
      String answered = "y_" + name;
      switch (field.datatype()) {
        case BOOL -> out.set(answered, in.booleans(name));
        case BYTES -> out.set(answered, in.texts(name));
        case FP16, FP32 -> out.set(answered, in.floats(name));
        case FP64 -> out.set(answered, in.doubles(name));
        default -> out.set(answered, in.longs(name));
      }
      out.setNulls(answered, in.nulls(name));
    }
  }

  private void act(String text) throws InterruptedException {
    String[] words = text.split(":");
    switch (words[0]) {
      case "raise" -> throw new IllegalStateException("asked to");
      case "print" -> System.out.println("asked to print");
      case "sleep" -> Thread.sleep(Long.parseLong(words[1]));
      case "exit" -> Runtime.getRuntime().halt(3);
      case "allocate" -> {
        for (int mebibyte = 0; mebibyte < Integer.parseInt(words[1]); mebibyte++) {
          byte[] taken = new byte[1 << 20];
          Arrays.fill(taken, (byte) 1);
          held.add(taken);
        }
      }
      default -> {}
    }
  }
}
