import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import type * as Lambda from '../../../connectors/glue/lambda.ts';
import { buildLambda } from '../../../scripts/build-lambda.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { systemRandom } from '../../../src/runtime/random.ts';
import { batch, failedIds, invocation, openLambdaWorld } from './world.ts';

test('The bundle is one small file that needs nothing beside it, and delivers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-push-bundle-'));
  try {
    const { file, bytes, zippedBytes } = await buildLambda({ outfile: join(folder, 'polaris-push.mjs') });
    expect(bytes).toBeLessThan(4_000_000);
    expect(zippedBytes).toBeLessThan(1_000_000);
    const bundle = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as typeof Lambda;
    await using at = await openLambdaWorld();
    at.writer.create('sales', 'a');
    await using handlers = bundle.lambdaHandlers({
      env: { POLARIS_PUSH_CONFIG: at.config(), POLARIS_CLIENT_SECRET: 's3cr3t' },
      clock: systemClock,
      random: systemRandom,
      stream: { write: () => {} },
    });
    expect(failedIds(await handlers.handler(batch(at.events), invocation()))).toEqual([]);
    expect(at.served()).toEqual(at.truth());
    await expect(handlers.handler({}, invocation())).rejects.toMatchObject({ code: 'LAMBDA_EVENT_UNKNOWN' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
