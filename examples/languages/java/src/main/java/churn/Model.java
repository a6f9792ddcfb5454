package churn;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import muster.host.Datatype;
import muster.host.Field;
import muster.host.Inputs;
import muster.host.Outputs;
import muster.host.Predictor;
import org.tribuo.Prediction;
import org.tribuo.classification.Label;
import org.tribuo.protos.core.ModelProto;

/** The churn model: Tribuo's logistic regression, as Train left it in churn.pb. */
public final class Model implements Predictor {
  private static final Label NOBODY_KNOWS = new Label("?");

  private final org.tribuo.Model<Label> model;

  public Model() throws IOException {
    try (InputStream stream = Files.newInputStream(Path.of("churn.pb"))) { // the bundle is the working directory
      model = org.tribuo.Model.deserialize(ModelProto.parseFrom(stream)).castModel(Label.class);
    }
  }

  @Override
  public void predict(Inputs in, Outputs out) {
    Map<String, String[]> texts = new HashMap<>();
    Map<String, double[]> numbers = new HashMap<>();
    for (Field field : in.fields()) {
      if (field.datatype() == Datatype.BYTES) {
        texts.put(field.name(), in.texts(field.name()));
      } else {
        numbers.put(field.name(), in.doubles(field.name()));
      }
    }
    double[] probability = new double[in.rows()];
    for (int row = 0; row < probability.length; row++) {
      Features features = new Features();
      for (Map.Entry<String, String[]> column : texts.entrySet()) {
        features.add(column.getKey(), column.getValue()[row]);
      }
      for (Map.Entry<String, double[]> column : numbers.entrySet()) {
        features.add(column.getKey(), column.getValue()[row]);
      }
      Prediction<Label> prediction = model.predict(features.example(NOBODY_KNOWS));
      probability[row] = prediction.getOutputScores().get("1").getScore();
    }
    out.set("churn_probability", probability);
  }
}
