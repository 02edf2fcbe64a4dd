import { randomUUID } from 'node:crypto';
import { type Replay, type Topic, notification } from '../replay.ts';
import { tableMetadata } from '../table-files.ts';

const NAMESPACE = ['probe'];

/** A good payload of a table of its own. */
function payload(replay: Replay): Record<string, unknown> {
  const file = replay.metadata(`ext/val/f_${randomUUID()}`);
  return { 'table-name': 'f', timestamp: 5, 'table-uuid': file.uuid, 'metadata-location': file.uri };
}

const post = (replay: Replay, scenario: string, table: string, body: unknown) =>
  replay.call(scenario, 'POST', replay.notificationPath('ext', NAMESPACE, table), { body });

const postRaw = (replay: Replay, scenario: string, table: string, raw: string, headers?: Record<string, string>) =>
  replay.call(scenario, 'POST', replay.notificationPath('ext', NAMESPACE, table), { raw, headers });

export const types: Topic = {
  title: 'notification types, known and unknown',
  async run(replay) {
    const file = replay.metadata('ext/val/a');
    const a = [NAMESPACE, 'a'] as const;
    await replay.notify('type-UNKNOWN', a, 'UNKNOWN', { timestamp: 1, file });
    await replay.load('type-UNKNOWN-created?', a);
    await replay.notify('type-invalid-string', a, 'RENAME', { timestamp: 1, file });
    await replay.notify('type-lowercase', a, 'create', { timestamp: 1, file });
    await post(replay, 'type-missing', 'a', { payload: payload(replay) });
    await post(replay, 'type-integer-1', 'a', { 'notification-type': 1, payload: payload(replay) });
  },
};

export const payloads: Topic = {
  title: 'payloads: missing, extra and malformed parts',
  async run(replay) {
    await missingParts(replay);
    await post(replay, 'payload-unknown-extra-fields', 'f_extra', {
      ...notification('CREATE', { ...payload(replay), extra: 1 }),
      foo: 'bar',
    });
    const meta = replay.metadata('ext/val/f_meta');
    const metadata = tableMetadata(meta.location, meta.uuid);
    const named = { 'table-name': 'f', timestamp: 5, 'table-uuid': meta.uuid };
    const withObject = notification('CREATE', { ...named, 'metadata-location': meta.uri, metadata });
    await post(replay, 'payload-with-metadata-object', 'f_meta', withObject);
    const invalid = notification('CREATE', { ...payload(replay), metadata: { a: 1 } });
    await post(replay, 'payload-with-invalid-metadata-object', 'f_meta2', invalid);
    const only = notification('CREATE', { ...named, metadata });
    await post(replay, 'payload-metadata-only-no-location', 'f_meta3', only);
    await postRaw(replay, 'malformed-json', 'a', '{"notification-type": "CREATE", ');
    await postRaw(replay, 'empty-body', 'a', '');
    await postRaw(replay, 'body-null', 'a', 'null');
    await postRaw(replay, 'body-array', 'a', '[]');
    await postRaw(replay, 'wrong-content-type', 'a', '{}', { 'content-type': 'text/plain' });
  },
};

async function missingParts(replay: Replay): Promise<void> {
  await post(replay, 'create-missing-payload', 'a2', { 'notification-type': 'CREATE' });
  await post(replay, 'update-missing-payload', 't0', { 'notification-type': 'UPDATE' });
  await post(replay, 'create-empty-payload', 'a2', notification('CREATE', {}));
  for (const field of ['table-name', 'timestamp', 'table-uuid', 'metadata-location']) {
    const incomplete = { ...payload(replay), [field]: undefined };
    await post(replay, `create-payload-missing-${field}`, `f_no_${field}`, notification('CREATE', incomplete));
  }
  const good = payload(replay);
  await post(replay, 'setup-create-f', 'f_upd', notification('CREATE', good));
  const timeless = notification('UPDATE', { ...good, timestamp: undefined });
  await post(replay, 'update-payload-missing-timestamp-existing-table', 'f_upd', timeless);
  const first = notification('UPDATE', { ...payload(replay), timestamp: 1 });
  await post(replay, 'update-after-create-without-timestamp', 'f_no_timestamp', first);
}

export const timestamps: Topic = {
  title: 'timestamps are 64-bit integers, and zero and negative ones count',
  async run(replay) {
    const send = (scenario: string, table: string, timestamp: unknown, type = 'CREATE') =>
      post(replay, scenario, table, notification(type, { ...payload(replay), timestamp }));
    await send('timestamp-string-numeric', 'f_tss', '7');
    await send('timestamp-string-iso', 'f_tsi', '2026-01-01T00:00:00Z');
    await send('timestamp-float', 'f_tsf', 1.5);
    await send('timestamp-negative', 'f_neg', -5);
    await send('timestamp-negative-then-update-minus-4', 'f_neg', -4, 'UPDATE');
    await send('timestamp-negative-then-update-0', 'f_neg', 0, 'UPDATE');
    await send('timestamp-zero-create', 'f_zero', 0);
    await send('timestamp-zero-update-0-again', 'f_zero', 0, 'UPDATE');
    await send('timestamp-zero-update-1', 'f_zero', 1, 'UPDATE');

    const exact = (scenario: string, table: string, timestamp: string, type = 'CREATE') => {
      const text = JSON.stringify(notification(type, { ...payload(replay), timestamp: 'here' }));
      return postRaw(replay, scenario, table, text.replace('"here"', timestamp));
    };
    await exact('timestamp-max-long-create', 'f_max', '9223372036854775807');
    await exact('timestamp-after-max-update-now', 'f_max', String(Date.now()), 'UPDATE');
    await exact('timestamp-after-max-update-max', 'f_max', '9223372036854775807', 'UPDATE');
    await exact('timestamp-after-max-drop', 'f_max', '1', 'DROP');
    await exact('timestamp-after-max-drop-recreate-ts1', 'f_max', '1');
    await exact('timestamp-overflow-2^63', 'f_ovf', '9223372036854775808');
    await exact('timestamp-null', 'f_null', 'null');
  },
};
