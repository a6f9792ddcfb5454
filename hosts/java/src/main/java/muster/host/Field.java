package muster.host;

import java.util.List;
import java.util.Map;

/**
 * One input or output of the contract.
 *
 * @param name what it is called
 * @param datatype what its elements are
 * @param shape of the value of one row; empty for a scalar
 * @param isNullable whether a row may have none
 */
public record Field(String name, Datatype datatype, List<Integer> shape, boolean isNullable) {
  /** How many elements one row has. */
  public int elements() {
    return shape.stream().reduce(1, Math::multiplyExact);
  }

  static Field of(Object document) {
    Map<String, Object> field = Json.object(document);
    List<Integer> shape = Json.list(field.get("shape")).stream().map(extent -> ((Json.Number) extent).toInt()).toList();
    Datatype datatype = Datatype.valueOf((String) field.get("datatype"));
    return new Field((String) field.get("name"), datatype, shape, Boolean.TRUE.equals(field.get("nullable")));
  }
}
