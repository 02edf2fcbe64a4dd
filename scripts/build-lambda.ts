import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

// npm run build:lambda [-- --outfile FILE --external-sdk --analyse]

const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const LAMBDA_BUNDLE = `${ROOT}dist/lambda/polaris-push.mjs`;

export type LambdaBundle = {
  readonly file: string;
  readonly bytes: number;
  /** As Lambda stores and loads it: a ZIP's DEFLATE is gzip's. */
  readonly zippedBytes: number;
  /** Bytes by package, the largest first. */
  readonly packages: readonly (readonly [name: string, bytes: number])[];
};

/**
 * Bundles the function into one file. The AWS SDK is bundled, too: so the function runs on the version that was tested and
 * not on the one that the runtime happens to ship. It starts as soon either way (test/bench/lambda-start.ts measures both).
 */
export async function buildLambda({ outfile = LAMBDA_BUNDLE, externalSdk = false } = {}): Promise<LambdaBundle> {
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: ['connectors/glue/lambda.ts'],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    // The oldest runtime of Lambda that it's meant for is nodejs22.x, so `using` is compiled away.
    target: 'node22',
    format: 'esm',
    // Packages in CommonJS ask for Node's own modules by `require`, which an ES module lacks.
    banner: {
      js: "import { createRequire as polarisPushRequire } from 'node:module'; const require = polarisPushRequire(import.meta.url);",
    },
    // ES modules where a package has them: what isn't used of those can be left out.
    mainFields: ['module', 'main'],
    external: externalSdk ? ['@aws-sdk/*'] : [],
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  const [output] = Object.values(result.metafile.outputs);
  const { bytes, inputs } = output ?? { bytes: 0, inputs: {} };
  const sizes = new Map<string, number>();
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const name = packageOf(path);
    sizes.set(name, (sizes.get(name) ?? 0) + bytesInOutput);
  }
  return {
    file: outfile,
    bytes,
    zippedBytes: gzipSync(readFileSync(outfile), { level: 9 }).length,
    packages: [...sizes].toSorted(([, a], [, b]) => b - a),
  };
}

const packageOf = (path: string): string =>
  /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(path)?.[1] ?? 'polaris-push';

const kilobytes = (bytes: number): string => `${Math.round(bytes / 1000)} kB`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      outfile: { type: 'string' },
      'external-sdk': { type: 'boolean', default: false },
      analyse: { type: 'boolean', default: false },
    },
  });
  const bundle = await buildLambda({ outfile: values.outfile ?? LAMBDA_BUNDLE, externalSdk: values['external-sdk'] });
  console.log(
    `${relative(process.cwd(), bundle.file)}: ${kilobytes(bundle.bytes)}, zipped ${kilobytes(bundle.zippedBytes)}`,
  );
  if (values.analyse)
    for (const [name, bytes] of bundle.packages.slice(0, 15)) console.log(`  ${kilobytes(bytes)}  ${name}`);
}
