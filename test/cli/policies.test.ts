import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { PolicyServer, policiesOf } from '../polaris/policy-server.ts';
import { curlCalls } from '../polaris/shell-commands.ts';
import { agentFile } from './agent-file.ts';
import { ndjson, run, type Options } from './command-line.ts';

const EXPIRY = 'system.snapshot-expiry';

/** An emulated Polaris with `sales.orders`, a policy at the catalog and one at the table, and an agent's configuration. */
async function scene() {
  await using opened = new AsyncDisposableStack();
  const server = opened.use(await PolicyServer.open());
  await server.table(['sales'], 'orders');
  await server.define(['sales'], 'compact');
  await server.define(['sales'], 'expire', { type: EXPIRY, content: '{"enable":false}' });
  await server.attach([['sales'], 'compact'], 'catalog');
  await server.attach([['sales'], 'expire'], 'table-like', ['sales', 'orders']);
  const agent = opened.use(await agentFile({ targets: { ext: server.uri } }));
  const stack = opened.move();
  const policies = (argv: readonly string[], options?: Options) =>
    run(['policies', '--config', agent.config, ...argv], options);
  return { server, agent, policies, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A policy as Polaris sends it. */
const wirePolicy = (name: string, type: string, content: string) => ({
  'policy-type': type,
  inheritable: true,
  name,
  description: 'by hand',
  content,
  version: 4,
  inherited: false,
  namespace: ['rules'],
});

describe('policies', () => {
  test('shows what applies to a table, and what it is attached to', async () => {
    await using at = await scene();
    const { exitCode, stdout, stderr } = await at.policies(['--table', 'sales.orders']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toBe(`2 policies apply to sales.orders on ext
  TYPE                    POLICY         VERSION  ATTACHED TO
  system.data-compaction  sales.compact  0        catalog ext
    {"version":"2025-02-03","enable":true,"config":{"target_file_size_bytes":"134217728"}}
  system.snapshot-expiry  sales.expire   0        the table
    {"enable":false}
`);
  });

  test('with --json it says one policy a line, its content parsed, and a summary', async () => {
    await using at = await scene();
    await at.server.define(['sales'], 'orphans', { type: 'system.orphan-file-removal', content: '{"enable":true}' });
    await at.server.attach([['sales'], 'orphans'], 'namespace', ['sales']);
    const { exitCode, stdout } = await at.policies(['--table', 'sales.orders', '--json']);
    expect(exitCode).toBe(0);
    const told = { event: 'policy', target: 'ext', table: 'sales.orders', version: 0, inheritable: true };
    expect(ndjson(stdout)).toEqual([
      {
        ...told,
        type: 'system.data-compaction',
        policy: 'sales.compact',
        inherited: true,
        attached_to: { type: 'catalog' },
        description: null,
        content: { version: '2025-02-03', enable: true, config: { target_file_size_bytes: '134217728' } },
      },
      {
        ...told,
        type: 'system.orphan-file-removal',
        policy: 'sales.orphans',
        inherited: true,
        attached_to: { type: 'namespace', namespace: ['sales'] },
        description: null,
        content: { enable: true },
      },
      {
        ...told,
        type: EXPIRY,
        policy: 'sales.expire',
        inherited: false,
        attached_to: { type: 'table' },
        description: null,
        content: { enable: false },
      },
      { event: 'summary', target: 'ext', table: 'sales.orders', policies: 3, unreadable: 0 },
    ]);
  });

  test('can be narrowed to a type, of which there may be none', async () => {
    await using at = await scene();
    const some = await at.policies(['--table', 'sales.orders', '--type', EXPIRY]);
    expect(some.stdout).toMatch(/^1 policy applies to sales\.orders on ext\n/);
    const none = await at.policies(['--table', 'sales.orders', '--type', 'system.nope']);
    expect(none).toEqual({
      exitCode: 0,
      stdout: 'No policy of type system.nope applies to sales.orders on ext.\n',
      stderr: '',
    });
  });

  test('names a policy whose content is not JSON, shows the others, and exits with 3', async () => {
    await using at = await scene();
    // Polaris checks the content of the types it knows, so that a broken one has to come from elsewhere.
    at.server.session.emulator.intercept(({ path }) => {
      if (!path.endsWith('/applicable-policies')) return 'pass';
      const policies = [
        wirePolicy('broken', 'custom.a', 'enable: yes'),
        wirePolicy('fine', 'custom.b', '{"enable":true}'),
      ];
      return { status: 200, body: { 'next-page-token': null, 'applicable-policies': policies } };
    });
    const { exitCode, stdout } = await at.policies(['--table', 'sales.orders']);
    expect(exitCode).toBe(3);
    const flat = stdout.replaceAll(/\s+/g, ' ');
    expect(flat).toContain(
      "custom.a rules.broken 4 the table by hand ✗ [POLICY_CONTENT_INVALID] A policy's content can't be read. The content of policy rules.broken, version 4, is not JSON",
    );
    expect(flat).toContain('custom.b rules.fine 4 the table by hand {"enable":true}');
    expect(flat).toContain('The content of one policy cannot be read; the others are not affected.');
    const lines = ndjson((await at.policies(['--table', 'sales.orders', '--json'])).stdout);
    expect(lines[0]).toMatchObject({ policy: 'rules.broken', content: null });
    expect(String(lines[0]?.['error'])).toContain('is not JSON');
    expect(lines.at(-1)).toMatchObject({ policies: 2, unreadable: 1 });
  });

  test('a table that Polaris does not have ends it with 2', async () => {
    await using at = await scene();
    const { exitCode, stdout, stderr } = await at.policies(['--table', 'sales.nope', '--json']);
    expect(exitCode).toBe(2);
    expect(ndjson(stdout)).toMatchObject([{ event: 'error', code: 'POLARIS_NO_SUCH_TABLE' }]);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain('Table does not exist: sales.nope');
  });

  test('a missing privilege ends it with 4 and the commands that grant it; then origins are told as far as may be seen', async () => {
    await using at = await scene();
    const { client_id, client_secret } = await at.server.principal('reader', []);
    await using agent = await agentFile({ targets: { ext: at.server.uri } });
    const yaml = (await readFile(agent.config, 'utf8'))
      .replace('client_id: root', `client_id: ${client_id}`)
      .replace('client_secret: s3cr3t', `client_secret: ${client_secret}`);
    await writeFile(agent.config, yaml);
    const ask = () => run(['policies', '--config', agent.config, '--table', 'sales.orders']);
    const grant = async (text: string) => {
      const fix = text.slice(text.indexOf('fix:'));
      const curls = curlCalls(fix.slice(0, fix.lastIndexOf("}}'") + 3), 'unused');
      expect(curls.length).toBeGreaterThan(1);
      for (const { method, url, body } of curls) {
        const path = url.slice(at.server.session.emulator.uri.length);
        // A catalog role that was made before is there already.
        expect((await at.server.send(method, path, JSON.parse(body ?? 'null'))).status).toBeOneOf([201, 409]);
      }
    };
    const denied = await ask();
    expect(denied.exitCode).toBe(4);
    expect(denied.stderr).toContain('[POLARIS_FORBIDDEN]');
    await grant(denied.stderr);

    const partly = await ask();
    expect(partly.exitCode).toBe(0);
    expect(partly.stdout).toMatch(/sales\.compact +0 +something around the table\n/);
    expect(partly.stdout).toMatch(/sales\.expire +0 +the table\n/);
    expect(partly.stdout.replaceAll(/\s+/g, ' ')).toContain('principal reader lacks NAMESPACE_READ_PROPERTIES on ext');
    await grant(partly.stdout);
    await grant((await ask()).stdout);
    expect((await ask()).stdout).toMatch(/sales\.compact +0 +catalog ext\n/);
  });

  test('says of a policy that was taken off while it was looked for that it is attached to nothing', async () => {
    await using at = await scene();
    const { emulator } = at.server.session;
    let asked = 0;
    emulator.intercept(async ({ path }) => {
      if (path.endsWith('/applicable-policies') && ++asked === 2) {
        await at.server.must('DELETE', `${policiesOf(['sales'])}/compact?detach-all=true`);
      }
      return 'pass' as const;
    });
    expect((await at.policies(['--table', 'sales.orders'])).stdout).toMatch(/sales\.compact +0 +nothing any more\n/);
  });

  test.for([
    [[], /--table/],
    [['--table', 'orders'], /names no namespace/],
    [['--table', 'sales.orders', '--target', 'other'], /No target is called other/],
  ] as const)('%j is a wrong use and exits with 2', async ([argv, message]) => {
    await using agent = await agentFile();
    const { exitCode, stderr } = await run(['policies', '--config', agent.config, ...argv]);
    expect(exitCode).toBe(2);
    expect(stderr.replaceAll(/\s+/g, ' ')).toMatch(message);
  });

  test('asks which target is meant when there are several', async () => {
    await using agent = await agentFile({
      targets: { a: 'http://127.0.0.1:1/api/catalog', b: 'http://127.0.0.1:1/api/catalog' },
    });
    const { exitCode, stderr } = await run(['policies', '--config', agent.config, '--table', 'x.y']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('Several targets: a, b.');
  });

  test('a Polaris that cannot be reached ends it with 4', async () => {
    await using agent = await agentFile();
    const { exitCode, stderr } = await run(['policies', '--config', agent.config, '--table', 'x.y']);
    expect(exitCode).toBe(4);
    expect(stderr).toContain('[POLARIS_UNAVAILABLE]');
  });
});
