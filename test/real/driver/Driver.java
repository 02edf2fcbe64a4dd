package polarispush.driver;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.hive.HiveCatalog;

/**
 * Writes to a Hive Metastore the way Spark, Flink and Trino users do: through Iceberg's own HiveCatalog, and around it
 * through Hive's Thrift client. One JSON request a line on standard input, one JSON answer a line on standard output:
 * {@code {"command": "append", "table": "sales.orders"}} gives {@code {"ok": true, "result": …}} or
 * {@code {"ok": false, "error": "…"}}. Arguments: the metastore's Thrift URI and the warehouse location.
 */
public final class Driver {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Map<String, Command> commands = new HashMap<>();

  private Driver(String uri, String warehouse) throws Exception {
    HiveConf conf = new HiveConf();
    conf.set("hive.metastore.uris", uri);
    HiveCatalog catalog = new HiveCatalog();
    catalog.setConf(conf);
    catalog.initialize(
        "hive",
        Map.of(
            CatalogProperties.URI, uri,
            CatalogProperties.WAREHOUSE_LOCATION, warehouse,
            CatalogProperties.CLIENT_POOL_SIZE, "8"));
    commands.putAll(new IcebergTables(catalog, warehouse).commands());
    commands.putAll(new IcebergViews(catalog).commands());
    commands.putAll(new HiveObjects(conf, uri, warehouse).commands());
    commands.put("parallel", new Parallel(this::execute));
  }

  private Object execute(JsonNode request) throws Exception {
    String name = Arguments.text(request, "command");
    Command command = commands.get(name);
    if (command == null) {
      throw new IllegalArgumentException("There is no command " + name);
    }
    return command.run(request);
  }

  private ObjectNode answer(String line) {
    ObjectNode answer = JSON.createObjectNode();
    try {
      answer.set("result", JSON.valueToTree(execute(JSON.readTree(line))));
      answer.put("ok", true);
    } catch (Throwable failure) { // also errors of linkage: they are what an incompatible server or client looks like
      failure.printStackTrace();
      answer.put("ok", false).put("error", failure.toString());
    }
    return answer;
  }

  public static void main(String[] arguments) throws Exception {
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err); // libraries that print must not disturb the answers
    Driver driver = new Driver(arguments[0], arguments[1]);
    answers.println("{\"ready\":true}");
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.println(driver.answer(line));
    }
    System.exit(0); // the catalog's pools keep threads that aren't daemons
  }
}
