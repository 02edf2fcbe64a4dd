import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NOT_EMULATED } from './not-emulated.ts';
import { readRecording } from './recording.ts';
import { type Offer, Replay, type Topic } from './replay.ts';
import type { ConformanceServer } from './server.ts';
import { authentication, otherSetups, restarts } from './topics/authentication.ts';
import { catalogs } from './topics/catalogs.ts';
import { concurrency } from './topics/concurrency.ts';
import { drops } from './topics/drops.ts';
import { health } from './topics/health.ts';
import { limits } from './topics/limits.ts';
import { locations } from './topics/locations.ts';
import { metadataFiles, pyiceberg } from './topics/metadata-files.ts';
import { names } from './topics/names.ts';
import { namespaces } from './topics/namespaces.ts';
import { genericTables, views } from './topics/other-holders.ts';
import { payloads, timestamps, types } from './topics/payloads.ts';
import { policies } from './topics/policies.ts';
import { privileges } from './topics/privileges.ts';
import { etags, pagination, reads } from './topics/reads.ts';
import { setup } from './topics/setup.ts';
import { staticFacade } from './topics/static-facade.ts';
import { upserts } from './topics/upserts.ts';
import { validations } from './topics/validations.ts';

/** In the order of the recording, so that each finds what earlier ones left. */
const TOPICS: readonly Topic[] = [
  setup,
  upserts,
  metadataFiles,
  pyiceberg,
  drops,
  validations,
  types,
  payloads,
  timestamps,
  authentication,
  privileges,
  concurrency,
  reads,
  names,
  namespaces,
  staticFacade,
  views,
  genericTables,
  policies,
  limits,
  catalogs,
  etags,
  locations,
  otherSetups,
  pagination,
  restarts,
  health,
];

/** Replays the recording against a server that offers these ways to set it up, topic by topic, and prints what was compared. */
export function conformance(name: string, offers: readonly Offer[], open: () => Promise<ConformanceServer>): void {
  const topics = TOPICS.filter(({ needs }) => needs === undefined || offers.includes(needs));
  describe(`conformance: ${name}`, () => {
    let replay: Replay;

    beforeAll(async () => {
      replay = new Replay(await open());
    });

    afterAll(async () => {
      console.log(summary(replay));
      await replay[Symbol.asyncDispose]();
    });

    for (const topic of topics) {
      test(`${topic.title}.`, async () => {
        // A scenario that can't go on without an answer throws: what was found before it tells why.
        const thrown: unknown = await topic.run(replay).catch((error: unknown) => error);
        expect({ mismatches: replay.takeMismatches(), thrown }).toEqual({ mismatches: [], thrown: undefined });
      });
    }

    test('what was created is removed again', async () => {
      expect(await replay.cleanUp()).toEqual([]);
    });

    test('every recorded scenario is replayed, or listed with a reason', () => {
      // A server that can't be set up otherwise leaves some out.
      const complete = offers.includes('variant') && offers.includes('restart');
      expect(complete ? unexplained(replay) : []).toEqual([]);
    });
  });
}

/** Neither replayed nor listed. */
const unexplained = (replay: Replay): string[] =>
  [...readRecording().keys()].filter(
    (scenario) => !replay.results.replayed.has(scenario) && reasonOf(scenario) === undefined,
  );

const reasonOf = (scenario: string): string | undefined =>
  NOT_EMULATED.find(({ scenarios }) => scenarios.test(scenario))?.reason;

function summary(replay: Replay): string {
  const recording = readRecording();
  const { replayed } = replay.results;
  const equal = [...replayed.values()].filter((count) => count.equal === count.requests).length;
  const requests = [...replayed.values()].reduce((sum, count) => sum + count.requests, 0);
  const left = [...recording.keys()].filter((scenario) => !replayed.has(scenario));
  const reasons = Map.groupBy(left, (scenario) => reasonOf(scenario) ?? 'this server cannot be set up for it');
  return [
    `Conformance with ${replay.server.uri}: ${recording.size} scenarios recorded, ${replayed.size} replayed ` +
      `(${requests} requests), ${equal} equal, ${left.length} not replayed:`,
    ...[...reasons].map(([reason, scenarios]) => `  ${String(scenarios.length).padStart(3)}  ${reason}`),
  ].join('\n');
}
