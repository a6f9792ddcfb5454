package muster.host;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * What a model is told when it is loaded.
 *
 * @param bundle the folder of the bundle, which is also the working directory
 * @param entry what {@code [runtime] entry} names
 * @param threads how many threads it may keep busy
 * @param inputs of the contract, in its order
 * @param outputs of the contract, in its order
 */
public record Load(Path bundle, String entry, int threads, List<Field> inputs, List<Field> outputs) {
  static Load of(Object document) {
    Map<String, Object> load = Json.object(document);
    return new Load(
        Path.of((String) load.get("bundle")),
        (String) load.get("entry"),
        ((Json.Number) load.get("threads")).toInt(),
        Json.list(load.get("inputs")).stream().map(Field::of).toList(),
        Json.list(load.get("outputs")).stream().map(Field::of).toList());
  }
}
