import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../docs/root.ts';
import { allowedPaths, parseContainerfile, single } from './containerfile.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const project = JSON.parse(read('package.json')) as {
  version: string;
  description: string;
  license: string;
  bin: Record<string, string>;
};
const { global, stages } = parseContainerfile(read('Containerfile'));
const image = stages.at(-1) ?? { image: '', instructions: [] };

/** `KEY=value` and `KEY="value"` of a LABEL, ENV or ARG. */
const pairs = (text: string): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(
    [...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(
      ([, key = '', quoted, plain]) => [key, quoted ?? plain] as const,
    ),
  );

describe('The image', () => {
  test('is built from Node.js 24 in one stage, and in the next takes over what is needed to run', () => {
    expect(stages.map(({ name }) => name)).toEqual(['build', undefined]);
    expect(stages.map((stage) => stage.image)).toEqual(['${NODE_IMAGE}', '${NODE_IMAGE}']);
    expect(pairs(global[0]?.text ?? '')['NODE_IMAGE']).toMatch(/^docker\.io\/library\/node:24-/);
  });

  test('runs no script of a dependency while it is built, and has no tool of development', () => {
    const runs = stages[0]?.instructions.filter(({ keyword }) => keyword === 'RUN') ?? [];
    const commands = runs.flatMap(({ text }) => text.split(' && '));
    expect(commands.map((run) => run.split(' ').slice(1, 3).join(' '))).toEqual([
      'ci --ignore-scripts',
      'run build',
      'prune --omit=dev',
    ]);
    for (const run of commands) expect(run).toContain('--ignore-scripts');
  });

  test('says what it is, by the version of package.json', () => {
    const labels = pairs(single(image, 'LABEL').text);
    const version = image.instructions.find(({ keyword, text }) => keyword === 'ARG' && text.startsWith('VERSION='));
    expect(version?.text).toBe(`VERSION=${project.version}`);
    expect(labels['org.opencontainers.image.version']).toBe('${VERSION}');
    expect(labels['org.opencontainers.image.description']).toBe(project.description);
    expect(labels['org.opencontainers.image.licenses']).toBe(project.license);
  });

  test('runs as a user of a number other than 0, who owns nothing but the folder of the ledger', () => {
    expect(single(image, 'USER').text).toMatch(/^[1-9][0-9]*:[1-9][0-9]*$/);
    const [uid, gid] = single(image, 'USER').text.split(':');
    expect(single(image, 'VOLUME').array).toEqual(['/var/lib/polaris-push']);
    expect(single(image, 'RUN').text).toContain(`install -d -o ${uid} -g ${gid} -m 0700 /var/lib/polaris-push`);
    expect(image.instructions.filter(({ flags }) => 'chown' in flags)).toEqual([]);
  });

  test('starts the command of the package, and is stopped by a signal that the agent drains on', () => {
    expect(single(image, 'RUN').text).toContain(
      `ln -s /opt/polaris-push/${project.bin['polaris-push']} /usr/local/bin/polaris-push`,
    );
    expect(single(image, 'ENTRYPOINT').array).toEqual(['polaris-push']);
    expect(single(image, 'CMD').array?.[0]).toBe('run');
    expect(single(image, 'STOPSIGNAL').text).toBe('SIGTERM');
  });

  test('asks for its health with a file that it holds', () => {
    const [node, file = ''] = single(image, 'HEALTHCHECK').array ?? [];
    const source = file.replace('/opt/polaris-push/', '');
    expect(node).toBe('node');
    expect(read(source)).toContain(`:${single(image, 'EXPOSE').text}/livez`);
    expect(image.instructions.some(({ keyword, text }) => keyword === 'COPY' && text.startsWith(`${source} `))).toBe(
      true,
    );
  });

  test('is built from what it copies and nothing else, with Docker and with Podman', () => {
    const copied = stages.flatMap(({ instructions }) =>
      instructions
        .filter(({ keyword, flags }) => keyword === 'COPY' && flags['from'] === undefined)
        .flatMap(({ text }) => text.split(' ').slice(0, -1)),
    );
    const allowed = allowedPaths(read('.containerignore'));
    expect(
      copied.filter((path) => !allowed.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))),
    ).toEqual([]);
    expect(
      allowed.filter((prefix) => !copied.some((path) => path === prefix || path.startsWith(`${prefix}/`))),
    ).toEqual([]);
    expect(read('.dockerignore')).toBe(read('.containerignore'));
  });
});

describe('The reader of Containerfiles', () => {
  test('joins continued lines, and takes flags and arrays apart', () => {
    const { stages: found } = parseContainerfile(
      'FROM a AS b\n# no\nRUN x && \\\n    y\nCOPY --from=c --chown=1:2 d e\nHEALTHCHECK --timeout=5s \\\n  CMD ["f", "g h"]\n',
    );
    expect(found[0]?.name).toBe('b');
    expect(found[0]?.instructions.map(({ text }) => text)).toEqual(['x && y', 'd e', 'CMD ["f", "g h"]']);
    expect(found[0]?.instructions[1]?.flags).toEqual({ from: 'c', chown: '1:2' });
    expect(found[0]?.instructions[2]?.array).toEqual(['f', 'g h']);
  });

  test.for(['FORM a', 'FROM a as b', 'FROM a\nMAINTAINER x'])('refuses what it does not know: %s', (text) => {
    expect(() => parseContainerfile(text)).toThrow(SyntaxError);
  });

  test('notices an ignore file that lets more in than it names', () => {
    expect(() => allowedPaths('node_modules\n')).toThrow(SyntaxError);
    expect(() => allowedPaths('*\n!src\nsrc/x\n')).toThrow(SyntaxError);
  });
});
