package polarispush.driver;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.hive.HiveCatalog;
import org.apache.iceberg.view.ViewBuilder;

/** Iceberg views: rows of the same tables in the metastore, with a metadata location of their own. */
final class IcebergViews {
  private final HiveCatalog catalog;

  IcebergViews(HiveCatalog catalog) {
    this.catalog = catalog;
  }

  Map<String, Command> commands() {
    Map<String, Command> commands = new HashMap<>();
    commands.put("create_view", request -> builder(request).create().uuid());
    commands.put("replace_view", request -> builder(request).replace().uuid());
    commands.put("rename_view", this::rename);
    commands.put("drop_view", this::drop);
    return commands;
  }

  private ViewBuilder builder(JsonNode request) {
    TableIdentifier identifier = Arguments.table(request, "view");
    return catalog
        .buildView(identifier)
        .withSchema(IcebergTables.SCHEMA)
        .withDefaultNamespace(identifier.namespace())
        .withQuery("spark", Arguments.text(request, "query"));
  }

  private Object rename(JsonNode request) {
    catalog.renameView(Arguments.table(request, "view"), Arguments.table(request, "to"));
    return null;
  }

  private Object drop(JsonNode request) {
    TableIdentifier identifier = Arguments.table(request, "view");
    if (!catalog.dropView(identifier)) {
      throw new IllegalStateException("There was no view " + identifier);
    }
    return null;
  }
}
