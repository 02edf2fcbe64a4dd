import { describe, expect, test } from 'vitest';
import { looksSecret, maskPasswords, Secrets } from '../../src/runtime/secrets.ts';

describe('Secrets', () => {
  test('are masked wherever they stand, also URL-encoded and within JSON', () => {
    const secrets = new Secrets();
    secrets.add('p"ss/w rd');
    expect(secrets.mask('a p"ss/w rd b')).toBe('a *** b');
    expect(secrets.mask(`x=${encodeURIComponent('p"ss/w rd')}`)).toBe('x=***');
    expect(secrets.mask(JSON.stringify({ x: 'p"ss/w rd' }))).toBe('{"x":"***"}');
  });

  test('that contain each other leave no rest', () => {
    const secrets = new Secrets();
    secrets.add('hush');
    secrets.add('hush-hush-2');
    expect(secrets.mask('is hush-hush-2!')).toBe('is ***!');
  });

  test('shorter than four characters are not masked by value, as they stand in innocent words', () => {
    const secrets = new Secrets();
    secrets.add('at');
    secrets.add('');
    expect(secrets.mask('what a cat')).toBe('what a cat');
  });

  test('within connection URLs are learnt as written and as they mean', () => {
    const secrets = new Secrets();
    secrets.addPasswordsOf('postgresql://me:s%40fe%2Fpw@db:5432/metastore');
    secrets.addPasswordsOf('host=db password=other-pw user=me');
    expect(secrets.mask('s%40fe%2Fpw and s@fe/pw and other-pw')).toBe('*** and *** and ***');
  });

  test.for([
    ['postgresql://me:pw@db:5432/x', 'postgresql://me:***@db:5432/x'],
    ['postgresql://me:p@w:x@db/x', 'postgresql://me:***@db/x'],
    ['postgresql://me@db/x?password=pw&ssl=1', 'postgresql://me@db/x?password=***&ssl=1'],
    ['postgresql://db:5432/x', 'postgresql://db:5432/x'],
    ['https://polaris:8181/api', 'https://polaris:8181/api'],
    ['host=db sslpassword=pw', 'host=db sslpassword=***'],
    ["host=db password='two words' user=me", 'host=db password=*** user=me'],
    ['postgresql://:pw@db/x', 'postgresql://:***@db/x'],
    ['http://host:8181/me@corp', 'http://host:8181/me@corp'],
    ['{"uri":"http://host:8181/api","who":"me@corp"}', '{"uri":"http://host:8181/api","who":"me@corp"}'],
    ['{"a":"db://u:p@h","b":"password=x","c":"y@z"}', '{"a":"db://u:***@h","b":"password=***","c":"y@z"}'],
  ] as const)('maskPasswords: %s', ([text, masked]) => {
    expect(maskPasswords(text)).toBe(masked);
  });

  test.for([
    ['password', true],
    ['clientSecret', true],
    ['client_secret', true],
    ['accessToken', true],
    ['Authorization', true],
    ['tokenUri', false],
    ['token_file', false],
    ['table', false],
    ['position', false],
  ] as const)('looksSecret(%s): %s', ([key, secret]) => {
    expect(looksSecret(key)).toBe(secret);
  });
});
