import { type Replay, SEPARATOR, at, encoded, namespacePath } from './replay.ts';

const MANAGEMENT = '/api/management/v1';

/** Deletes a catalog of this run with everything in it. Returns what the server said when it would not. */
export async function removeCatalog(replay: Replay, name: string): Promise<string | undefined> {
  const path = `${MANAGEMENT}/catalogs/${encoded(replay.named(name))}`;
  if ((await replay.send('GET', path)).status === 404) return undefined;
  await empty(replay, name, []);
  const roles = await replay.send('GET', `${path}/catalog-roles`);
  for (const role of listed(roles.body, 'roles').map((item) => String(at(item, 'name')))) {
    if (role !== 'catalog_admin') await replay.send('DELETE', `${path}/catalog-roles/${encoded(role)}`);
  }
  const answer = await replay.send('DELETE', path);
  return answer.status === 204 ? undefined : `${path}: ${answer.status} ${answer.text}`;
}

/** Removes what a namespace holds, its children first. */
async function empty(replay: Replay, catalog: string, levels: readonly string[]): Promise<void> {
  const namespaces = `${replay.catalogPath(catalog)}/namespaces`;
  const parent = levels.length === 0 ? '' : `?parent=${encoded(levels.join(SEPARATOR))}`;
  for (const child of listed((await replay.send('GET', namespaces + parent)).body, 'namespaces') as string[][]) {
    await empty(replay, catalog, child);
    await replay.send('DELETE', `${namespaces}/${namespacePath(child)}`);
  }
  if (levels.length === 0) return;
  const inside = `namespaces/${namespacePath(levels)}`;
  for (const path of [
    `${replay.catalogPath(catalog)}/${inside}/tables`,
    `${replay.catalogPath(catalog)}/${inside}/views`,
    `${replay.polarisPath(catalog)}/${inside}/generic-tables`,
  ]) {
    const names = listed((await replay.send('GET', path)).body, 'identifiers').map((item) => String(at(item, 'name')));
    for (const name of names) await replay.send('DELETE', `${path}/${encoded(name)}`);
  }
  const policies = `${replay.polarisPath(catalog)}/${inside}/policies`;
  for (const policy of listed((await replay.send('GET', policies)).body, 'identifiers')) {
    await replay.send('DELETE', `${policies}/${encoded(String(at(policy, 'name')))}?detach-all=true`);
  }
}

const listed = (body: unknown, key: string): readonly unknown[] => {
  const items = at(body, key);
  return Array.isArray(items) ? items : [];
};
