package churn;

import java.util.ArrayList;
import java.util.List;
import org.tribuo.classification.Label;
import org.tribuo.impl.ArrayExample;

/** From the columns of a customer to what the model sees, for training and serving alike. */
final class Features {
  private final List<String> names = new ArrayList<>();
  private final List<Double> values = new ArrayList<>();

  /** A number from 0, as its logarithm, which brings months and charges to one size; NaN, where there is none, is no feature. */
  void add(String name, double value) {
    if (!Double.isNaN(value)) {
      names.add(name);
      values.add(Math.log1p(value));
    }
  }

  /** A text: one feature per text that there is. */
  void add(String name, String text) {
    names.add(name + "=" + text);
    values.add(1.0);
  }

  ArrayExample<Label> example(Label label) {
    double[] numbers = values.stream().mapToDouble(Double::doubleValue).toArray();
    return new ArrayExample<>(label, names.toArray(String[]::new), numbers);
  }
}
