package polarispush.driver;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Runs several lists of requests side by side, each list in its order; all start at the same moment. */
final class Parallel implements Command {
  private final Command execute;

  Parallel(Command execute) {
    this.execute = execute;
  }

  @Override
  public Object run(JsonNode request) throws Exception {
    JsonNode writers = request.get("writers");
    CountDownLatch start = new CountDownLatch(1);
    try (ExecutorService threads = Executors.newFixedThreadPool(writers.size())) {
      List<Future<?>> running = new ArrayList<>();
      for (JsonNode requests : writers) {
        running.add(
            threads.submit(
                () -> {
                  start.await();
                  for (JsonNode each : requests) {
                    execute.run(each);
                  }
                  return null;
                }));
      }
      start.countDown();
      for (Future<?> each : running) {
        each.get();
      }
    } catch (ExecutionException failure) {
      throw failure.getCause() instanceof Exception cause ? cause : failure;
    }
    return null;
  }
}
