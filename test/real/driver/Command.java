package polarispush.driver;

import com.fasterxml.jackson.databind.JsonNode;

/** One kind of request. What it returns is the answer's {@code result}; it throws where the metastore refuses. */
@FunctionalInterface
interface Command {
  Object run(JsonNode request) throws Exception;
}
