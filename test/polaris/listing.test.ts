import { describe, expect, test } from 'vitest';
import { showTable } from '../../src/core/table.ts';
import { openPolaris } from '../../src/polaris/client.ts';
import type { Target } from '../../src/polaris/target.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { containing, rejection } from './matchers.ts';
import { type Answer, configured, KeptLog, polaris, polarisError, type Seen, StandIn, until } from './stand-in.ts';

/** Pauses are no waits here; deadlines never come. */
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => (ms < 8000 ? systemClock.sleep(0, signal) : systemClock.sleep(60_000, signal)),
};
const deps = { clock, log: silentLog };
const never = new AbortController().signal;

async function tablesOf(target: Target): Promise<readonly string[]> {
  const tables: string[] = [];
  for await (const table of target.tables(never)) tables.push(showTable(table));
  return tables.toSorted();
}

type Catalog = Readonly<Record<string, readonly string[]>>;

const SEPARATOR = '\u001f';

/** A catalog by its namespaces, levels joined by dots. `pageSize` undefined: ignores paging, as Polaris does by default. */
function listing(catalog: Catalog, pageSize?: number) {
  const paths = Object.keys(catalog).map((path) => path.split('.'));
  return ({ path }: Seen): Answer => {
    const url = new URL(path, 'http://x');
    const cutPage = (items: readonly unknown[]) => {
      if (pageSize === undefined) return { items, next: null };
      const start = Number(url.searchParams.get('pageToken') ?? '');
      const end = start + pageSize;
      return { items: items.slice(start, end), next: end < items.length ? String(end) : null };
    };
    const [, tables] = /\/namespaces\/([^/]+)\/tables$/.exec(url.pathname) ?? [];
    if (tables !== undefined) {
      const namespace = decodeURIComponent(tables).split(SEPARATOR);
      const names = catalog[namespace.join('.')];
      if (names === undefined)
        return polarisError(404, 'NoSuchNamespaceException', `Namespace does not exist: ${namespace.join('.')}`);
      const { items, next } = cutPage(names.map((name) => ({ namespace, name })));
      return { status: 200, json: { identifiers: items, 'next-page-token': next } };
    }
    const parent = url.searchParams.get('parent')?.split(SEPARATOR) ?? [];
    const children = paths.filter(
      (levels) => levels.length === parent.length + 1 && parent.every((level, at) => levels[at] === level),
    );
    const { items, next } = cutPage(children);
    return { status: 200, json: { namespaces: items, 'next-page-token': next } };
  };
}

const CATALOG: Catalog = {
  sales: ['orders', 'customers', 'returns'],
  'sales.eu': ['orders'],
  'sales.eu.de': ['orders', 'tax'],
  empty: [],
  finance: ['ledger'],
};
const TABLES = [
  'finance.ledger',
  'sales.customers',
  'sales.eu.de.orders',
  'sales.eu.de.tax',
  'sales.eu.orders',
  'sales.orders',
  'sales.returns',
];

describe('the tables of a catalog', () => {
  test('are those of all its namespaces, however deep', async () => {
    await using server = await StandIn.start(polaris(listing(CATALOG)));
    await using target = await openPolaris(configured(server.port), deps);
    expect(await tablesOf(target)).toEqual(TABLES);
    expect(server.paths(/parent=sales%1Feu%1Fde/)).toHaveLength(1);
  });

  test.each([1, 2, 3])('come in pages of %i', async (pageSize) => {
    await using server = await StandIn.start(polaris(listing(CATALOG, pageSize)));
    await using target = await openPolaris(configured(server.port), deps);
    expect(await tablesOf(target)).toEqual(TABLES);
  });

  test('are none in an empty catalog', async () => {
    await using server = await StandIn.start(polaris(listing({})));
    await using target = await openPolaris(configured(server.port), deps);
    expect(await tablesOf(target)).toEqual([]);
  });

  test('are found where a server overlooks the parent', async () => {
    const plain = listing({ a: ['t'], b: ['u'] });
    await using server = await StandIn.start(
      polaris((seen) => plain({ ...seen, path: seen.path.replace(/parent=[^&]*&/, '') })),
    );
    await using target = await openPolaris(configured(server.port), deps);
    expect(await tablesOf(target)).toEqual(['a.t', 'b.u']);
  });

  test('are asked for by few requests at once', async () => {
    const wide = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`n${i}`, ['t']]));
    const answer = listing(wide);
    let open = 0;
    let most = 0;
    await using server = await StandIn.start(
      polaris(async (seen) => {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setImmediate(resolve));
        open--;
        return answer(seen);
      }),
    );
    await using target = await openPolaris(configured(server.port), deps);
    expect(await tablesOf(target)).toHaveLength(40);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  test('of a namespace that is dropped meanwhile are gone, and the others still come', async () => {
    const whole = listing(CATALOG);
    await using server = await StandIn.start(
      polaris((seen) =>
        /sales%1Feu/.test(seen.path)
          ? polarisError(404, 'NoSuchNamespaceException', 'Namespace does not exist: sales.eu')
          : whole(seen),
      ),
    );
    await using target = await openPolaris(configured(server.port), deps);
    expect(await tablesOf(target)).toEqual(['finance.ledger', 'sales.customers', 'sales.orders', 'sales.returns']);
  });

  test('of a namespace that no path leads to are left out, with a warning', async () => {
    const log = new KeptLog();
    const whole = listing({ a: ['t'] });
    await using server = await StandIn.start(
      polaris((seen) =>
        /namespaces\?page/.test(seen.path) ? { status: 200, json: { namespaces: [['a'], ['..']] } } : whole(seen),
      ),
    );
    await using target = await openPolaris(configured(server.port), { clock, log });
    expect(await tablesOf(target)).toEqual(['a.t']);
    expect(log.lines.find(({ level }) => level === 'warn')).toMatchObject({
      event: 'namespace-not-addressable',
      fields: { namespace: ['..'] },
    });
  });

  test('are still listed after a rate limit and a cut connection', async () => {
    const whole = listing(CATALOG);
    let requests = 0;
    await using server = await StandIn.start(
      polaris((seen) => {
        requests++;
        if (requests === 2) return { status: 429, headers: { 'retry-after': '1' } };
        if (requests !== 4) return whole(seen);
        seen.cut();
        return undefined;
      }),
    );
    await using target = await openPolaris(configured(server.port), deps);
    expect(await tablesOf(target)).toEqual(TABLES);
  });

  test('are not asked for any more when the reader has enough', async () => {
    const wide = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`n${i}`, ['t']]));
    await using server = await StandIn.start(polaris(listing(wide)));
    await using target = await openPolaris(configured(server.port), deps);
    for await (const table of target.tables(never)) {
      expect(table.name).toBe('t');
      break;
    }
    expect(server.seen.length).toBeLessThan(40);
  });

  test('end with the caller’s abort', async () => {
    const stop = new AbortController();
    await using server = await StandIn.start(polaris(() => undefined));
    await using target = await openPolaris(configured(server.port), deps);
    const tables = target.tables(stop.signal)[Symbol.asyncIterator]();
    const rejected = rejection(tables.next());
    await until(() => server.paths(/namespaces/).length === 1);
    stop.abort(new Error('enough'));
    expect(await rejected).toMatchObject({ message: 'enough' });
  });
});

describe('a listing fails', () => {
  test.each([
    [
      'for good',
      polarisError(403, 'ForbiddenException', "Principal 'p' is not authorized for op LIST"),
      'POLARIS_FORBIDDEN',
      1,
    ],
    [
      'for lack of a catalog',
      polarisError(404, 'NoSuchNamespaceException', "Namespace does not exist: ''"),
      'POLARIS_NO_SUCH_CATALOG',
      1,
    ],
    ['after four tries', { status: 503 }, 'POLARIS_UNAVAILABLE', 4],
    ['by a page that is none', { status: 200, text: 'x' }, 'POLARIS_REFUSED', 1],
    ['by a page of something else', { status: 200, json: { identifiers: [] } }, 'POLARIS_REFUSED', 1],
    [
      'by a page that follows itself',
      { status: 200, json: { namespaces: [], 'next-page-token': 'same' } },
      'POLARIS_REFUSED',
      2,
    ],
  ])('%s', async (_, answer, code, tries) => {
    await using server = await StandIn.start(polaris(() => answer));
    await using target = await openPolaris(configured(server.port), deps);
    await expect(tablesOf(target)).rejects.toMatchObject({
      code,
      message: containing('isting the namespaces of the catalog'),
    });
    expect(server.paths(/namespaces/)).toHaveLength(tries);
  });

  test('by a list of tables that is none', async () => {
    await using server = await StandIn.start(
      polaris(({ path }) => ({
        status: 200,
        json: path.includes('/tables')
          ? { identifiers: [{ name: 1 }] }
          : { namespaces: path.includes('parent') ? [] : [['a']] },
      })),
    );
    await using target = await openPolaris(configured(server.port), deps);
    await expect(tablesOf(target)).rejects.toMatchObject({
      code: 'POLARIS_REFUSED',
      message: containing('the tables of ["a"] can\'t be read: it has no list of identifiers'),
    });
  });

  test('before it begins, when the catalog’s address can’t be had', async () => {
    await using server = await StandIn.start(() =>
      polarisError(404, 'NotFoundException', 'Unable to find warehouse ext'),
    );
    await using target = await openPolaris(configured(server.port), deps);
    await expect(tablesOf(target)).rejects.toMatchObject({ code: 'POLARIS_NO_SUCH_CATALOG' });
  });
});
