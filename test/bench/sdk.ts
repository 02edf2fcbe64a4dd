import { BatchSpanProcessor, InMemorySpanExporter, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

// For `node --import`: an SDK as people set it up, whose exporter turns spans into text and sends them nowhere. At the end
// it says how many there were.

let spans = 0;

class Nowhere extends InMemorySpanExporter {
  override export(...[batch, done]: Parameters<InMemorySpanExporter['export']>): void {
    spans += batch.length;
    for (const span of batch) {
      JSON.stringify([span.name, span.attributes, span.startTime, span.endTime, span.spanContext(), span.links]);
    }
    super.export(batch, done);
    this.reset();
  }
}

new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new Nowhere())] }).register();
process.once('exit', () => process.stderr.write(`${JSON.stringify({ event: 'spans', spans })}\n`));
