package polarispush.rest;

import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * Iceberg's own reference implementation of the REST protocol, as its compatibility kit runs it: the servlet from
 * iceberg-core's test jar over a JdbcCatalog. Arguments: a JDBC URL, the warehouse's location, a port (0: any). Prints
 * the address once it serves, and ends when its input does.
 */
public final class IcebergRestServer {
  private IcebergRestServer() {}

  public static void main(String[] args) throws Exception {
    try (JdbcCatalog catalog = new JdbcCatalog()) {
      catalog.setConf(new Configuration());
      catalog.initialize(
          "lake",
          Map.of(
              CatalogProperties.URI, args[0],
              CatalogProperties.WAREHOUSE_LOCATION, args[1],
              "jdbc.schema-version", "V1")); // V0 has no views
      ServletContextHandler context = new ServletContextHandler();
      context.addServlet(new ServletHolder(new RESTCatalogServlet(new RESTCatalogAdapter(catalog))), "/*");
      Server server = new Server();
      ServerConnector connector = new ServerConnector(server);
      connector.setHost("127.0.0.1");
      connector.setPort(Integer.parseInt(args[2]));
      server.addConnector(connector);
      server.setHandler(context);
      server.start();
      System.out.println("http://127.0.0.1:" + connector.getLocalPort());
      while (System.in.read() >= 0) {
        // Nothing is said to it; the end of its input is the end of whoever started it.
      }
      server.stop();
    }
  }
}
