import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBrowser } from './browser.ts';
import { openStage, SCENARIOS } from './stage.ts';

// node test/page/screenshots.ts FOLDER: the page in each scenario, light and dark, on a screen and on a phone, to look at.

const folder = process.argv[2];
if (folder === undefined) throw new Error('Where to?');
mkdirSync(folder, { recursive: true });
await using browser = await openBrowser();
for (const [name, scenario] of Object.entries(SCENARIOS)) {
  await using stage = await openStage(scenario, { history: true, adminToken: 'screenshots-take-this' });
  for (const [look, options] of [
    ['light', { colorScheme: 'light', viewport: { width: 1200, height: 900 } }],
    ['dark', { colorScheme: 'dark', viewport: { width: 1200, height: 900 } }],
    ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }],
  ] as const) {
    const page = await browser.newPage(options);
    await page.goto(stage.uri);
    await page.locator('#latest table').waitFor();
    await page.locator('#lag-chart svg').waitFor();
    await page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage: true });
    await page.close();
  }
}
