import { parseArgs } from 'node:util';
import { glueOutage } from './glue-outage.ts';

/**
 * `node test/faults/glue-outage-report.ts [--minutes 10] [--visibility 120] [--tables 200] [--pause 20]`: an outage of Polaris
 * under load. Prints one line of JSON.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    visibility: { type: 'string', default: '120' },
    tables: { type: 'string', default: '200' },
    pause: { type: 'string', default: '20' },
  },
});

console.log(
  JSON.stringify(
    await glueOutage({
      outageMs: Number(values.minutes) * 60_000,
      visibilityTimeout: Number(values.visibility),
      tables: Number(values.tables),
      pauseMs: Number(values.pause),
    }),
  ),
);
