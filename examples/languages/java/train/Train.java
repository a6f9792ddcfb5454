package churn;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import org.tribuo.MutableDataset;
import org.tribuo.Trainer;
import org.tribuo.classification.Label;
import org.tribuo.classification.LabelFactory;
import org.tribuo.classification.evaluation.LabelEvaluator;
import org.tribuo.classification.sgd.linear.LinearSGDTrainer;
import org.tribuo.classification.sgd.objectives.LogMulticlass;
import org.tribuo.impl.ArrayExample;
import org.tribuo.math.optimisers.AdaGrad;
import org.tribuo.provenance.SimpleDataSourceProvenance;

/** Trains the churn model: {@code java churn.Train DATA OUT} reads DATA/train.csv, writes OUT/churn.pb and OUT.expected.csv. */
final class Train {
  private static final String TARGET = "left";
  private static final int EPOCHS = 30;
  private static final int BATCH = 32;

  public static void main(String[] arguments) throws IOException {
    Path data = Path.of(arguments[0]);
    Path out = Path.of(arguments[1]);
    LabelFactory labels = new LabelFactory();
    SimpleDataSourceProvenance origin = new SimpleDataSourceProvenance("train.csv", OffsetDateTime.now(), labels);
    MutableDataset<Label> customers = new MutableDataset<>(origin, labels);
    read(data.resolve("train.csv")).forEach(customers::add);

    LinearSGDTrainer regression =
        new LinearSGDTrainer(new LogMulticlass(), new AdaGrad(0.05, 0.1), EPOCHS, BATCH, Trainer.DEFAULT_SEED);
    org.tribuo.Model<Label> model = regression.train(customers);

    try (OutputStream stream = Files.newOutputStream(out.resolve("churn.pb"))) {
      model.serialize().writeTo(stream);
    }
    List<String> answers = new ArrayList<>(List.of("churn_probability"));
    for (ArrayExample<Label> row : read(data.resolve("rows.csv"))) {
      answers.add(Double.toString(model.predict(row).getOutputScores().get("1").getScore()));
    }
    Files.write(out.resolveSibling(out.getFileName() + ".expected.csv"), answers);
    double area = new LabelEvaluator().evaluate(model, customers).AUCROC(new Label("1"));
    System.out.printf("%d rows, area under the curve %.4f%n", customers.size(), area);
  }

  /** The customers of a CSV file without quotes; an empty value is no feature. */
  private static List<ArrayExample<Label>> read(Path file) throws IOException {
    List<String> lines = Files.readAllLines(file);
    List<String[]> rows = lines.stream().skip(1).map(line -> line.split(",", -1)).toList();
    String[] names = lines.get(0).split(",");
    boolean[] isText = new boolean[names.length];
    for (String[] row : rows) {
      for (int index = 0; index < names.length; index++) {
        isText[index] |= !row[index].isEmpty() && !row[index].matches("-?[0-9.]+");
      }
    }
    List<ArrayExample<Label>> examples = new ArrayList<>();
    for (String[] row : rows) {
      Features features = new Features();
      Label label = new Label("?");
      for (int index = 0; index < names.length; index++) {
        if (names[index].equals(TARGET)) {
          label = new Label(row[index]);
        } else if (isText[index]) {
          features.add(names[index], row[index]);
        } else {
          features.add(names[index], row[index].isEmpty() ? Double.NaN : Double.parseDouble(row[index]));
        }
      }
      examples.add(features.example(label));
    }
    return examples;
  }
}
