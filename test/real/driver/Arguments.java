package polarispush.driver;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;

/** Reads the fields of a request. */
final class Arguments {
  private Arguments() {}

  static String text(JsonNode request, String field) {
    JsonNode value = request.get(field);
    if (value == null || !value.isTextual()) {
      throw new IllegalArgumentException("The request lacks " + field + ": " + request);
    }
    return value.asText();
  }

  /** {@code sales.orders}: the metastore's namespaces have one level. */
  static TableIdentifier table(JsonNode request, String field) {
    return TableIdentifier.parse(text(request, field));
  }

  static Namespace namespace(JsonNode request) {
    return Namespace.of(text(request, "namespace"));
  }

  static Map<String, String> properties(JsonNode request) {
    Map<String, String> properties = new HashMap<>();
    JsonNode given = request.get("properties");
    if (given != null) {
      given.properties().forEach(entry -> properties.put(entry.getKey(), entry.getValue().asText()));
    }
    return properties;
  }
}
