package muster.host;

/** What a model gave back is not what its contract says. */
public final class OutputBroken extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * An output that cannot be what its contract says.
   *
   * @param message names the output and the row
   */
  public OutputBroken(String message) {
    super(message);
  }
}
