import type { Topic } from '../replay.ts';

export const namespaces: Topic = {
  title: 'namespaces: created, described, dropped',
  async run(replay) {
    const path = `${replay.catalogPath('ext')}/namespaces`;
    const create = (scenario: string, namespace: string[], properties?: Record<string, string>) =>
      replay.call(scenario, 'POST', path, { body: { namespace, properties } });
    const properties = (scenario: string, namespace: string, body: object) =>
      replay.call(scenario, 'POST', `${path}/${namespace}/properties`, { body });
    const root = `file://${replay.root}`;
    await create('ext-createNamespace', ['xns'], { owner: 'me' });
    await create('ext-createNamespace-again', ['xns']);
    await create('ext-createNamespace-with-location', ['xns_loc'], { location: `${root}/ext/elsewhere_ns` });
    await create('ext-createNamespace-location-outside', ['xns_out'], { location: `${root}/outside/ns` });
    await create('ext-createNamespace-space-in-name', ['sp ace']);
    const spaced = { location: `${root}/ext/sp_ace` };
    await create('ext-createNamespace-space-explicit-location', ['sp ace'], spaced);
    const file = replay.metadata('ext/sp_ace/t');
    await replay.notify('notify-into-ns-with-space-precreated', [['sp ace'], 't'], 'CREATE', { timestamp: 1, file });
    const both = { updates: { 'sync.source': 'hms' }, removals: ['owner'] };
    await properties('ext-updateNamespaceProperties', 'xns', both);
    await replay.call('ext-getNamespace', 'GET', `${path}/xns`);

    await create('nsprops-setup', ['nsp'], { owner: 'me' });
    await properties('nsprops-updates-only', 'nsp', { updates: { a: '1' } });
    await properties('nsprops-removals-only', 'nsp', { removals: ['owner'] });
    await properties('nsprops-both', 'nsp', { updates: { b: '2' }, removals: ['a'] });
    await replay.call('nsprops-get', 'GET', `${path}/nsp`);
    await properties('nsprops-removal-of-missing', 'nsp', { removals: ['zzz'] });
    await properties('nsprops-missing-ns', 'zzzz', { updates: { a: '1' } });
  },
};
