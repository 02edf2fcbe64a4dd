import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { hiveConfig } from '../../../connectors/hive/config.ts';
import { hiveFailure } from '../../../connectors/hive/failure.ts';
import { PushError } from '../../../src/errors/errors.ts';

const config = hiveConfig.parse({ kind: 'hive', connection: 'postgresql://u:p%40ss%20word@h/metastore' });

const coded = (code: string, message = 'said the server') => Object.assign(new Error(message), { code });

describe('an error', () => {
  test.each<[string, unknown, string]>([
    ['a refused connection', coded('ECONNREFUSED'), 'HIVE_UNREACHABLE'],
    [
      'a refused connection on two addresses',
      Object.assign(new AggregateError([coded('ECONNREFUSED', 'connect ::1')], ''), { code: 'ECONNREFUSED' }),
      'HIVE_UNREACHABLE',
    ],
    ['an unknown host', coded('ENOTFOUND'), 'HIVE_UNREACHABLE'],
    ['a lost connection', new Error('Connection terminated unexpectedly'), 'HIVE_UNREACHABLE'],
    ['a connection that takes too long', new Error('timeout expired'), 'HIVE_UNREACHABLE'],
    ['an administrator', coded('57P01'), 'HIVE_UNREACHABLE'],
    ['a server that starts', coded('57P03'), 'HIVE_UNREACHABLE'],
    ['too many connections', coded('53300'), 'HIVE_UNREACHABLE'],
    ['a certificate of one’s own', coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'HIVE_TLS'],
    ['an unknown authority', coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'HIVE_TLS'],
    ['a certificate of another host', coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'HIVE_TLS'],
    ['an expired certificate', coded('CERT_HAS_EXPIRED'), 'HIVE_TLS'],
    ['a wrong password', coded('28P01'), 'HIVE_LOGIN_REFUSED'],
    ['no entry in pg_hba.conf', coded('28000'), 'HIVE_LOGIN_REFUSED'],
    ['an unknown database', coded('3D000'), 'HIVE_DATABASE_UNKNOWN'],
    ['a missing privilege', coded('42501'), 'HIVE_PRIVILEGE_MISSING'],
    ['a missing table', coded('42P01'), 'HIVE_NOT_A_METASTORE'],
    ['a cancelled statement', coded('57014'), 'HIVE_TIMEOUT'],
    ['a slot in use', coded('55006'), 'HIVE_SLOT_IN_USE'],
    ['no slot left', coded('53400'), 'HIVE_SLOTS_EXHAUSTED'],
    ['anything else of the server', coded('XX000'), 'HIVE_QUERY_FAILED'],
    ['anything else', 'a thrown text', 'HIVE_QUERY_FAILED'],
  ])('of %s has its code', (_, error, code) => {
    const failure = hiveFailure(error, 'testing', config);
    expect(failure).toBeInstanceOf(PushError);
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(/While testing: \S/);
  });

  test('that is already explained stays as it is', () => {
    const error = new PushError('HIVE_STANDBY', 'x');
    expect(hiveFailure(error, 'testing', config)).toBe(error);
  });

  test('holds the password in no form, nor does its cause', () => {
    const server = new pg.DatabaseError('refused p%40ss%20word and p@ss word', 1, 'error');
    Object.assign(server, { code: '28P01', detail: 'p@ss word', input: config.connection });
    const failure = hiveFailure(server, 'testing', config);
    const cause = failure.cause as Error;
    const text = [failure.message, failure.stack, cause.message, cause.stack, JSON.stringify(cause)].join('\n');
    expect(text).toContain('refused *** and ***');
    expect(text).not.toMatch(/p@ss word|p%40ss/);
    expect(cause).toMatchObject({ code: '28P01' });
  });
});
