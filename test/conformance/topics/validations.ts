import { removeCatalog } from '../clean-up.ts';
import type { Topic } from '../replay.ts';

export const validations: Topic = {
  title: 'VALIDATE checks locations and creates nothing',
  async run(replay) {
    const file = replay.metadata('ext/val/a');
    const table = [['probe'], 'a'] as const;
    const validate = (scenario: string, location: string, name = 'a') =>
      replay.notify(scenario, [['probe'], name], 'VALIDATE', { timestamp: 1, location });
    const namespace = ['valns', 'deep'];
    await replay.notify('validate-unknown-ns-ok-location', [namespace, 'a'], 'VALIDATE', { timestamp: 1, file });
    await replay.call('validate-created-ns?', 'GET', `${replay.catalogPath('ext')}/namespaces/valns`);
    await validate('validate-missing-file', `file://${replay.root}/ext/val/a/metadata/missing.metadata.json`);
    await validate('validate-directory-location', `file://${replay.root}/ext/val/a/`);
    await validate('validate-garbage-file', replay.metadata('ext/val/g', { content: 'xx' }).uri);
    await validate('validate-outside-allowed', `file://${replay.root}/outside/x/metadata/a.metadata.json`);
    await replay.notify('validate-existing-table-older-ts', [['probe'], 't0'], 'VALIDATE', { timestamp: 0, file });

    const path = replay.notificationPath('ext', ...table);
    const raw = (scenario: string, payload?: object) =>
      replay.call(scenario, 'POST', path, { body: { 'notification-type': 'VALIDATE', payload } });
    await raw('validate-payload-only-metadata-location', { 'metadata-location': file.uri });
    await raw('validate-no-payload');
    await raw('validate-empty-payload', {});
    await raw('validate-ml-no-slash', { 'metadata-location': 'abc' });

    const s3 = (scenario: string, location: string) =>
      replay.notify(scenario, [['ns'], 't'], 'VALIDATE', { timestamp: 1, location }, { catalog: 's3cat' });
    replay.cleanUpLater(() => removeCatalog(replay, 's3cat'));
    // A folder of this run: a server in use may have another catalog on the recorded one.
    const base = `s3://bkt/${replay.named('wh')}`;
    await replay.call('catalog-s3-storage', 'POST', '/api/management/v1/catalogs', {
      body: {
        catalog: {
          type: 'EXTERNAL',
          name: replay.named('s3cat'),
          properties: { 'default-base-location': base },
          storageConfigInfo: {
            storageType: 'S3',
            allowedLocations: [`${base}/`],
            roleArn: 'arn:aws:iam::123456789012:role/x',
            region: 'us-east-1',
          },
        },
      },
    });
    await s3('validate-s3-outside-bucket', 's3://other/wh/ns/t/metadata/0.metadata.json');
    await s3('validate-s3-prefix-trick(s3://bkt/wh2)', `${base}2/ns/t/metadata/0.metadata.json`);
  },
};
