package muster.host;

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Loads a model and answers questions until Muster says that it is enough. */
public final class Host {
  static final String ABOUT = "{\"language\":\"java\",\"helper\":\"1\"}";

  private static final int LOAD_FAILED = 1;
  private static final int STACKS_A_MINUTE = 6;
  private static final long MINUTE_NS = 60_000_000_000L;

  /** Makes a model of what it is told. */
  @FunctionalInterface
  public interface Loader {
    /**
     * Loads the model.
     *
     * @param load what Muster says: the bundle, the contract
     * @throws Exception it cannot be loaded; the message is what the operator reads
     */
    Predictor load(Load load) throws Exception;
  }

  private final Loader loader;
  private Predictor model;
  private Load load;
  private long minuteBegan = System.nanoTime();
  private int stacks;

  Host(Loader loader) {
    this.loader = loader;
  }

  /**
   * Serves a model on the wire that Muster has chosen; ends the process.
   *
   * @param loader loads it
   */
  public static void serve(Loader loader) {
    Host host = new Host(loader);
    try {
      if ("lines".equals(System.getenv("MUSTER_WIRE"))) {
        PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        System.setOut(System.err); // standard output is the wire: what the model prints goes to the log
        System.exit(new Lines(host, System.in, answers).serve());
      }
      System.exit(host.serve(new Frames(new FileInputStream("/dev/fd/3"), new FileOutputStream("/dev/fd/4"))));
    } catch (IOException | RuntimeException error) {
      error.printStackTrace();
      System.exit(2);
    }
  }

  /** Speaks the binary wire until it ends; gives the exit status. */
  int serve(Frames frames) throws IOException {
    for (Frames.Frame frame = frames.read(); frame != null && frame.kind() != Frames.STOP; frame = frames.read()) {
      if (frame.kind() == Frames.LOAD) {
        try {
          load(Json.parse(StandardCharsets.UTF_8.decode(frame.payload()).toString()));
        } catch (Exception | LinkageError error) {
          frames.writeJson(Frames.ERROR, frame.sequence(), error("load-failed", told(error)));
          return LOAD_FAILED;
        }
        frames.writeJson(Frames.LOADED, frame.sequence(), ABOUT);
      } else if (frame.kind() == Frames.PREDICT && model != null) {
        answer(frames, frame);
      } else {
        String message = "a frame of kind " + frame.kind() + " is not for a model";
        frames.writeJson(Frames.ERROR, frame.sequence(), error("not-understood", message));
      }
    }
    return 0;
  }

  void load(Object document) throws Exception {
    load = Load.of(document);
    model = loader.load(load);
  }

  Load load() {
    return load;
  }

  /** What the model answers; it throws whatever the model throws. */
  List<Column> predict(Frames.Table table) throws Exception {
    Outputs outputs = new Outputs(table.rows(), load.outputs());
    model.predict(new Inputs(table.rows(), load.inputs(), table.columns()), outputs);
    return outputs.columns();
  }

  /** What went wrong as one line, and with its stack in the log, a few times a minute. */
  String told(Throwable error) {
    Throwable cause = error instanceof InvocationTargetException ? error.getCause() : error;
    long now = System.nanoTime();
    if (now - minuteBegan > MINUTE_NS) {
      minuteBegan = now;
      stacks = 0;
    }
    if (stacks++ < STACKS_A_MINUTE) {
      cause.printStackTrace();
    }
    return cause instanceof OutputBroken ? cause.getMessage() : cause.toString();
  }

  private void answer(Frames frames, Frames.Frame frame) throws IOException {
    Frames.Table table = Frames.table(frame.payload());
    List<Column> columns;
    try {
      columns = predict(table);
    } catch (Exception | StackOverflowError | LinkageError | AssertionError error) {
      String code = error instanceof OutputBroken ? "output-broken" : "model-raised";
      frames.writeJson(Frames.ERROR, frame.sequence(), error(code, told(error)));
      return;
    }
    frames.writeAnswer(frame.sequence(), table.rows(), columns);
  }

  private static String error(String code, String message) {
    return "{\"code\":" + Json.quoted(code) + ",\"message\":" + Json.quoted(message) + "}";
  }
}
