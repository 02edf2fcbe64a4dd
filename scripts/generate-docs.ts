import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chartPage } from './docs/chart-page.ts';
import { chartValuesSchema } from './docs/chart-values.ts';
import { cliPage } from './docs/cli-page.ts';
import { configurationPage } from './docs/configuration-page.ts';
import { dashboardJson } from './docs/dashboard.ts';
import { errorsPage } from './docs/errors-page.ts';
import { metricsPage } from './docs/metrics-page.ts';
import { connectors } from '../connectors/index.ts';
import { configJsonSchema } from '../src/config/json-schema.ts';
import { openApi } from '../src/observe/openapi.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const CHART = 'charts/polaris-push';

/** Every generated page: its path from the root, and its text as it should be. */
export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  const schema = await configJsonSchema(connectors);
  return new Map([
    ['docs/reference/configuration.md', await configurationPage(connectors)],
    ['docs/reference/config.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
    [`${CHART}/values.schema.json`, `${JSON.stringify(chartValuesSchema(schema), null, 2)}\n`],
    [`${CHART}/README.md`, chartPage(readFileSync(join(ROOT, CHART, 'values.yaml'), 'utf8'))],
    ['docs/reference/openapi.json', `${JSON.stringify(openApi(), null, 2)}\n`],
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/metrics.md', metricsPage()],
    ['docs/reference/cli.md', await cliPage()],
    ['monitoring/dashboard.json', dashboardJson()],
  ]);
}

/** The paths of those pages that are missing or not as they should be. */
export const stalePages = (pages: ReadonlyMap<string, string>, root: string = ROOT): readonly string[] =>
  [...pages].flatMap(([path, text]) => (read(join(root, path)) === text ? [] : [path]));

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const pages = await generatedPages();
  const stale = stalePages(pages);
  if (process.argv.includes('--check')) {
    for (const path of stale) console.error(`${path} is not current; run: npm run docs`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const path of stale) {
      const file = join(ROOT, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, pages.get(path) ?? '');
      console.log(path);
    }
  }
}
