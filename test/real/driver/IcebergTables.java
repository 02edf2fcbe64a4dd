package polarispush.driver;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DataFiles;
import org.apache.iceberg.HasTableOperations;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.Table;
import org.apache.iceberg.TableMetadata;
import org.apache.iceberg.Transaction;
import org.apache.iceberg.UpdateSchema;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.hive.HiveCatalog;
import org.apache.iceberg.types.Types;

/** Namespaces and tables through Iceberg's HiveCatalog. Data files are named but never written: no one reads them here. */
final class IcebergTables {
  static final Schema SCHEMA =
      new Schema(
          Types.NestedField.required(1, "id", Types.LongType.get()),
          Types.NestedField.optional(2, "data", Types.StringType.get()));

  private final HiveCatalog catalog;
  private final String warehouse;

  IcebergTables(HiveCatalog catalog, String warehouse) {
    this.catalog = catalog;
    this.warehouse = warehouse;
  }

  Map<String, Command> commands() {
    Map<String, Command> commands = new HashMap<>();
    commands.put("create_namespace", this::createNamespace);
    commands.put("set_namespace_properties", this::setNamespaceProperties);
    commands.put("drop_namespace", this::dropNamespace);
    commands.put("create", this::create);
    commands.put("create_as_select", this::createAsSelect);
    commands.put("replace", this::replace);
    commands.put("append", this::append);
    commands.put("roll_back", this::rollBack);
    commands.put("branch", this::branch);
    commands.put("add_columns", this::addColumns);
    commands.put("set_properties", this::setProperties);
    commands.put("set_long_property", this::setLongProperty);
    commands.put("transaction", this::transaction);
    commands.put("commit_stale", this::commitStale);
    commands.put("rename", this::rename);
    commands.put("register", this::register);
    commands.put("drop", this::drop);
    commands.put("list", request -> list());
    return commands;
  }

  /** What an Iceberg client finds in the metastore: every table, loaded. */
  private List<Map<String, Object>> list() {
    List<Map<String, Object>> tables = new ArrayList<>();
    for (Namespace namespace : catalog.listNamespaces()) {
      for (TableIdentifier identifier : catalog.listTables(namespace)) {
        TableMetadata metadata = metadata(catalog.loadTable(identifier));
        Map<String, Object> table = new HashMap<>();
        table.put("table", identifier.toString());
        table.put("metadataLocation", metadata.metadataFileLocation());
        table.put("tableUuid", metadata.uuid());
        Snapshot current = metadata.currentSnapshot();
        // As text: snapshot ids don't fit into a double.
        table.put("snapshotId", current == null ? null : Long.toString(current.snapshotId()));
        table.put("columns", metadata.schema().columns().size());
        tables.add(table);
      }
    }
    return tables;
  }

  private Object createNamespace(JsonNode request) {
    catalog.createNamespace(Arguments.namespace(request), Arguments.properties(request));
    return null;
  }

  private Object setNamespaceProperties(JsonNode request) {
    return catalog.setProperties(Arguments.namespace(request), Arguments.properties(request));
  }

  private Object dropNamespace(JsonNode request) {
    return catalog.dropNamespace(Arguments.namespace(request));
  }

  private Object create(JsonNode request) {
    TableIdentifier identifier = Arguments.table(request, "table");
    String location = request.has("folder") ? warehouse + "/" + Arguments.text(request, "folder") : null;
    catalog.createTable(identifier, SCHEMA, PartitionSpec.unpartitioned(), location, Arguments.properties(request));
    return null;
  }

  private Object createAsSelect(JsonNode request) {
    Transaction transaction = catalog.newCreateTableTransaction(Arguments.table(request, "table"), SCHEMA);
    transaction.newAppend().appendFile(dataFile(transaction.table())).commit();
    transaction.commitTransaction();
    return null;
  }

  private Object replace(JsonNode request) {
    Transaction transaction =
        catalog.newReplaceTableTransaction(
            Arguments.table(request, "table"), SCHEMA, PartitionSpec.unpartitioned(), null, Map.of(), true);
    transaction.newAppend().appendFile(dataFile(transaction.table())).commit();
    transaction.commitTransaction();
    return null;
  }

  private Object append(JsonNode request) {
    Table table = load(request);
    table.newAppend().appendFile(dataFile(table)).commit();
    return null;
  }

  private Object rollBack(JsonNode request) {
    Table table = load(request);
    table.manageSnapshots().rollbackTo(table.currentSnapshot().parentId()).commit();
    return null;
  }

  private Object branch(JsonNode request) {
    Table table = load(request);
    table.manageSnapshots().createBranch(Arguments.text(request, "branch")).commit();
    return null;
  }

  /** Many columns make the schema too long for a table parameter, so that Iceberg removes that parameter. */
  private Object addColumns(JsonNode request) {
    UpdateSchema update = load(request).updateSchema();
    int existing = load(request).schema().columns().size();
    for (int i = 0; i < request.get("count").asInt(); i++) {
      update.addColumn("column_" + (existing + i), Types.StringType.get(), "The column number " + (existing + i));
    }
    update.commit();
    return null;
  }

  private Object setProperties(JsonNode request) {
    var update = load(request).updateProperties();
    Arguments.properties(request).forEach(update::set);
    update.commit();
    return null;
  }

  /** A value that PostgreSQL can't compress, so it is stored out of line (TOAST). */
  private Object setLongProperty(JsonNode request) {
    int length = request.get("length").asInt();
    Random random = new Random(length);
    StringBuilder value = new StringBuilder();
    while (value.length() < length) {
      value.append(Long.toString(random.nextLong(), Character.MAX_RADIX));
    }
    load(request).updateProperties().set("long", value.substring(0, length)).commit();
    return null;
  }

  private Object transaction(JsonNode request) {
    Table table = load(request);
    Transaction transaction = table.newTransaction();
    transaction.updateProperties().set("in-transaction", "true").commit();
    transaction.updateSchema().addColumn("in_transaction", Types.DateType.get()).commit();
    transaction.newAppend().appendFile(dataFile(table)).commit();
    transaction.commitTransaction();
    return null;
  }

  /** A commit that must fail: its base was replaced by a faster writer, and it may not retry. */
  private Object commitStale(JsonNode request) {
    Table slow = load(request);
    TableMetadata base = metadata(slow);
    load(request).updateProperties().set("faster", "true").commit();
    TableMetadata stale = TableMetadata.buildFrom(base).setProperties(Map.of("slower", "true")).build();
    ((HasTableOperations) slow).operations().commit(base, stale);
    return null;
  }

  private Object rename(JsonNode request) {
    catalog.renameTable(Arguments.table(request, "table"), Arguments.table(request, "to"));
    return null;
  }

  /** Registers the metadata of the table {@code from} under the name {@code table}. */
  private Object register(JsonNode request) {
    String location = metadata(catalog.loadTable(Arguments.table(request, "from"))).metadataFileLocation();
    catalog.registerTable(Arguments.table(request, "table"), location);
    return null;
  }

  private Object drop(JsonNode request) {
    TableIdentifier identifier = Arguments.table(request, "table");
    if (!catalog.dropTable(identifier, request.path("purge").asBoolean())) {
      throw new IllegalStateException("There was no table " + identifier);
    }
    return null;
  }

  private Table load(JsonNode request) {
    return catalog.loadTable(Arguments.table(request, "table"));
  }

  private static TableMetadata metadata(Table table) {
    return ((HasTableOperations) table).operations().current();
  }

  private static DataFile dataFile(Table table) {
    return DataFiles.builder(PartitionSpec.unpartitioned())
        .withPath(table.location() + "/data/" + UUID.randomUUID() + ".parquet")
        .withFileSizeInBytes(1024)
        .withRecordCount(1)
        .build();
  }
}
