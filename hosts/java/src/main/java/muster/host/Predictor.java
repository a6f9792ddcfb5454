package muster.host;

/**
 * A model. Its class has a public constructor that takes nothing, or a {@link Load}.
 *
 * <p>It is asked by one thread, one question at a time. What it throws fails that question only.
 */
@FunctionalInterface
public interface Predictor {
  /**
   * Reads the inputs and sets every output.
   *
   * @param in columns of any number of rows, 0 as well; no row depends on another
   * @param out takes a column of as many rows for each output of the contract
   * @throws Exception whatever it likes: its message is what the caller is told
   */
  void predict(Inputs in, Outputs out) throws Exception;
}
