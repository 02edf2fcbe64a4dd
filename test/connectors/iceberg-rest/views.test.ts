import { expect, test } from 'vitest';
import { icebergError, json, ScriptedWorld, SMALL, type Script } from './scripted.ts';
import { listAll } from './world.ts';

const VIEWS = 'v1/ws/namespaces/sales/views';

async function listed(script: Script, lists = 1) {
  await using world = await ScriptedWorld.start({ ...SMALL, ...script });
  const connector = await world.connector();
  const all = [];
  for (let i = 0; i < lists; i++) all.push((await listAll(connector)).map(({ table: { name }, kind }) => [name, kind]));
  const asked = world.paths.filter((path) => path.startsWith(`${VIEWS}?`)).length;
  return { all, asked };
}

test('Views of a catalog that tells no endpoints are listed, if it has any', async () => {
  const { all } = await listed({
    [VIEWS]: json({ identifiers: [{ namespace: ['sales'], name: 'summary' }] }),
    [`${VIEWS}/summary`]: json({ metadata: { 'view-uuid': 'uuid-2' } }),
  });
  expect(all[0]?.toSorted()).toEqual([
    ['orders', 'present'],
    ['summary', 'unsupported'],
  ]);
});

test.for([
  ['400', icebergError(400, 'UnsupportedOperationException', 'No views here')],
  ['405', { status: 405 }],
  ['501', { status: 501 }],
  ['404 without a type', { status: 404 }],
] as const)('A catalog that answers %s to the question for views is asked for them once', async ([, answer]) => {
  expect(await listed({ [VIEWS]: answer }, 2)).toEqual({
    all: [[['orders', 'present']], [['orders', 'present']]],
    asked: 1,
  });
});

test('A namespace that is gone is no reason to ask no more for views', async () => {
  const gone = icebergError(404, 'NoSuchNamespaceException', 'Namespace does not exist: sales');
  expect((await listed({ [VIEWS]: gone }, 2)).asked).toBe(2);
});
