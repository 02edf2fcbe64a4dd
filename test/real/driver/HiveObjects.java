package polarispush.driver;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStoreClient;
import org.apache.hadoop.hive.metastore.IMetaStoreClient;
import org.apache.hadoop.hive.metastore.api.Catalog;
import org.apache.hadoop.hive.metastore.api.Database;
import org.apache.hadoop.hive.metastore.api.FieldSchema;
import org.apache.hadoop.hive.metastore.api.SerDeInfo;
import org.apache.hadoop.hive.metastore.api.StorageDescriptor;
import org.apache.hadoop.hive.metastore.api.Table;
import org.apache.hadoop.hive.metastore.api.ThriftHiveMetastore;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.transport.TSocket;

/** What happens to the metastore around Iceberg: Hive's own tables, ALTER TABLE by Hive, cascades, other catalogs. */
final class HiveObjects {
  private final IMetaStoreClient client;
  private final String uri;
  private final String warehouse;

  HiveObjects(HiveConf conf, String uri, String warehouse) throws Exception {
    this.client = HiveMetaStoreClient.newSynchronizedClient(new HiveMetaStoreClient(conf));
    this.uri = uri;
    this.warehouse = warehouse;
  }

  Map<String, Command> commands() {
    Map<String, Command> commands = new HashMap<>();
    commands.put("create_hive_table", this::createTable);
    commands.put("alter_parameters", this::alterParameters);
    commands.put("rename_by_hive", this::rename);
    commands.put("drop_by_hive", this::drop);
    commands.put("cascade_by_client", this::cascadeByClient);
    commands.put("cascade_by_server", this::cascadeByServer);
    commands.put("copy_to_catalog", this::copyToCatalog);
    commands.put("drop_from_catalog", this::dropFromCatalog);
    return commands;
  }

  private Object createTable(JsonNode request) throws Exception {
    TableIdentifier name = Arguments.table(request, "table");
    StorageDescriptor storage = new StorageDescriptor();
    storage.setCols(new ArrayList<>(List.of(new FieldSchema("id", "bigint", null))));
    storage.setLocation(warehouse + "/" + name.namespace() + ".db/" + name.name());
    storage.setInputFormat("org.apache.hadoop.mapred.TextInputFormat");
    storage.setOutputFormat("org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat");
    storage.setSerdeInfo(
        new SerDeInfo(null, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", new HashMap<>()));
    storage.setParameters(new HashMap<>());
    Table table = new Table();
    table.setDbName(name.namespace().toString());
    table.setTableName(name.name());
    table.setTableType("EXTERNAL_TABLE");
    table.setOwner("polaris-push");
    table.setSd(storage);
    table.setPartitionKeys(new ArrayList<>());
    table.setParameters(new HashMap<>(Map.of("EXTERNAL", "TRUE")));
    client.createTable(table);
    return null;
  }

  /**
   * ALTER TABLE SET and UNSET TBLPROPERTIES as Hive sends them: {@code properties} are set, the names in {@code unset}
   * removed; with {@code likeTable}, the parameters that make a table an Iceberg table are copied from that one.
   */
  private Object alterParameters(JsonNode request) throws Exception {
    TableIdentifier name = Arguments.table(request, "table");
    Table table = client.getTable(name.namespace().toString(), name.name());
    table.getParameters().putAll(Arguments.properties(request));
    request.path("unset").forEach(key -> table.getParameters().remove(key.asText()));
    if (request.has("likeTable")) {
      TableIdentifier model = Arguments.table(request, "likeTable");
      Map<String, String> parameters = client.getTable(model.namespace().toString(), model.name()).getParameters();
      for (String key : List.of("table_type", "metadata_location", "uuid")) {
        table.getParameters().put(key, parameters.get(key));
      }
    }
    client.alter_table(name.namespace().toString(), name.name(), table);
    return null;
  }

  private Object rename(JsonNode request) throws Exception {
    TableIdentifier name = Arguments.table(request, "table");
    TableIdentifier to = Arguments.table(request, "to");
    Table table = client.getTable(name.namespace().toString(), name.name());
    table.setDbName(to.namespace().toString());
    table.setTableName(to.name());
    client.alter_table(name.namespace().toString(), name.name(), table);
    return null;
  }

  private Object drop(JsonNode request) throws Exception {
    TableIdentifier name = Arguments.table(request, "table");
    client.dropTable(name.namespace().toString(), name.name(), true, false);
    return null;
  }

  /** Hive 3's client drops table by table, then the database. */
  private Object cascadeByClient(JsonNode request) throws Exception {
    client.dropDatabase(Arguments.text(request, "namespace"), true, false, true);
    return null;
  }

  /** The raw call lets the server cascade: one database transaction for all tables and the database. */
  private Object cascadeByServer(JsonNode request) throws Exception {
    URI address = URI.create(uri);
    try (TSocket socket = new TSocket(address.getHost(), address.getPort())) {
      socket.open();
      ThriftHiveMetastore.Client raw = new ThriftHiveMetastore.Client(new TBinaryProtocol(socket));
      raw.drop_database(Arguments.text(request, "namespace"), true, true);
    }
    return null;
  }

  /** Puts a copy of a table under the same names into another catalog of the metastore. */
  private Object copyToCatalog(JsonNode request) throws Exception {
    String catalog = Arguments.text(request, "catalog");
    TableIdentifier name = Arguments.table(request, "table");
    String database = name.namespace().toString();
    String location = warehouse + "/" + catalog;
    client.createCatalog(new Catalog(catalog, location));
    Database copied = new Database(database, null, location + "/" + database + ".db", new HashMap<>());
    copied.setCatalogName(catalog);
    client.createDatabase(copied);
    Table table = client.getTable(database, name.name());
    table.setCatName(catalog);
    table.getSd().setLocation(location + "/" + database + ".db/" + name.name());
    client.createTable(table);
    return null;
  }

  private Object dropFromCatalog(JsonNode request) throws Exception {
    String catalog = Arguments.text(request, "catalog");
    TableIdentifier name = Arguments.table(request, "table");
    client.dropTable(catalog, name.namespace().toString(), name.name(), false, false, false);
    client.dropDatabase(catalog, name.namespace().toString(), false, false, false);
    client.dropCatalog(catalog);
    return null;
  }
}
