package muster.host;

import java.lang.reflect.Constructor;

/** Serves a class that is a {@link Predictor}: {@code java muster.host.Main churn.Model}. */
public final class Main {
  private Main() {}

  /**
   * Serves until Muster says that it is enough.
   *
   * @param arguments the name of the class
   */
  public static void main(String[] arguments) {
    if (arguments.length != 1) {
      System.err.println("usage: java muster.host.Main CLASS");
      System.exit(2);
    }
    Host.serve(load -> made(arguments[0], load));
  }

  /** An object of a class, made by its constructor that takes a {@link Load}, or else nothing. */
  static Predictor made(String name, Load load) throws Exception {
    Class<?> found = Class.forName(name);
    if (!Predictor.class.isAssignableFrom(found)) {
      throw new IllegalArgumentException(name + " does not implement " + Predictor.class.getName());
    }
    for (Constructor<?> constructor : found.getConstructors()) {
      Class<?>[] wanted = constructor.getParameterTypes();
      if (wanted.length == 1 && wanted[0] == Load.class) {
        return (Predictor) constructor.newInstance(load);
      }
    }
    return (Predictor) found.getConstructor().newInstance();
  }
}
