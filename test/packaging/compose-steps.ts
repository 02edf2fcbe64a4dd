import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../docs/root.ts';
import type { Step } from './step.ts';
import { composeCheck, outcome } from './tools.ts';

type Project = {
  readonly services: Readonly<Record<string, { readonly depends_on?: Readonly<Record<string, unknown>> }>>;
};

const FILE = join(ROOT, 'compose.yaml');

/** Mistakes that must be noticed, so that the check is known to look. */
const MISTAKES = [
  ['an unknown key', 'read_only: true', 'readonly: true'],
  ['a dependency on nothing', 'polaris-setup: { condition', 'polaris-set: { condition'],
  ['an unknown condition', 'service_completed_successfully', 'service_finished'],
  ['an undeclared volume', 'ledger:/var/lib/polaris-push', 'ledgers:/var/lib/polaris-push'],
] as const;

export const composeSteps: readonly Step[] = [
  {
    name: 'compose.yaml is what Docker Compose loads',
    run: async () => {
      const { status, stdout, stderr } = await outcome(await composeCheck(), [FILE]);
      assert.equal(status, 0, stderr);
      const { services } = JSON.parse(stdout) as Project;
      assert.deepEqual(Object.keys(services['polaris-push']?.depends_on ?? {}).toSorted(byText), [
        'metastore-setup',
        'polaris-setup',
      ]);
      return `${Object.keys(services).length} services`;
    },
  },
  {
    name: 'mistakes in it are noticed',
    run: async () => {
      const check = await composeCheck();
      const folder = mkdtempSync(join(tmpdir(), 'polaris-push-compose-'));
      try {
        for (const [name, right, wrong] of MISTAKES) {
          const file = join(folder, 'compose.yaml');
          const text = readFileSync(FILE, 'utf8');
          assert.ok(text.includes(right), `compose.yaml has no ${right}`);
          writeFileSync(file, text.replace(right, wrong));
          const { status } = await outcome(check, [file]);
          assert.notEqual(status, 0, `not noticed: ${name}`);
        }
        return MISTAKES.map(([name]) => name).join(', ');
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  },
];

const byText = (a: string, b: string) => (a < b ? -1 : 1);
