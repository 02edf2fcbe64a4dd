import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { showTable } from '../../src/core/table.ts';
import { openBrowser } from './browser.ts';
import { HOSTILE, MARKUP, openStage, SCENARIOS, type Scenario, type StageOptions } from './stage.ts';

const ADMIN = 'the-admin-token-of-this-test';

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser.close());

type Opened = BrowserContextOptions & { readonly scenario: Scenario; readonly stage?: StageOptions };

/** The page of an agent in a scenario, and whatever the browser complained of. */
async function open({ scenario, stage: options, ...context }: Opened) {
  const stage = await openStage(scenario, { history: true, ...options });
  const page = await browser.newPage(context);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => void dialog.accept());
  const requested: string[] = [];
  page.on('request', (request) => requested.push(request.url()));
  await page.goto(stage.uri);
  await page.locator('#latest table').waitFor();
  return {
    stage,
    page,
    complaints,
    requested,
    async [Symbol.asyncDispose]() {
      await page.close();
      await stage[Symbol.asyncDispose]();
    },
  };
}

const text = (page: Page, selector: string) => page.locator(selector).innerText();

describe('The page', () => {
  test.for(Object.entries(SCENARIOS))(
    'of an agent that is %s asks no other server, and the browser finds nothing wrong',
    async ([, scenario]) => {
      await using opened = await open({ scenario, stage: { adminToken: ADMIN } });
      await opened.page.locator('#lag-chart svg').waitFor();
      expect(opened.complaints).toEqual([]);
      expect(opened.requested.filter((url) => !url.startsWith(opened.stage.uri))).toEqual([]);
    },
  );

  test('says at once that all is well, with the lag over the last hour', async () => {
    await using opened = await open({ scenario: SCENARIOS.healthy });
    const { page } = opened;
    expect(await text(page, '#verdict')).toContain('All is well');
    expect(await page.title()).toBe('✓ polaris-push');
    expect(await text(page, '#source')).toMatch(/following[^]*lag[^]*ms[^]*reserved/);
    expect(await page.locator('#lag-chart svg').getAttribute('aria-label')).toMatch(
      /^Lag over the last hour: now \d+ ms/,
    );
    const points = await page.locator('#lag-chart .line').getAttribute('points');
    expect(points?.split(' ').length).toBeGreaterThan(300);
    expect(await page.locator('#admin').isVisible()).toBe(false);
  });

  test('says what is broken, and shows news without being loaded again', async () => {
    await using opened = await open({ scenario: SCENARIOS.healthy });
    const { page, stage } = opened;
    stage.become(SCENARIOS['target-down']);
    await page.locator('.verdict.bad').waitFor();
    expect(await text(page, '#verdict')).toContain('Target main is down');
    expect(await text(page, '#targets')).toContain('connect ECONNREFUSED polaris.internal:8181');
    expect(await page.title()).toBe('✗ polaris-push');
    stage.notify({ table: { namespace: ['sales'], name: 'brand_new' } });
    await page.locator('#latest').getByText('sales.brand_new').waitFor();
    stage.become(SCENARIOS.healthy);
    await page.locator('.verdict.good').waitFor();
  });

  test('lists what is parked and held by cause, with the fix once', async () => {
    await using opened = await open({ scenario: SCENARIOS.parked });
    const { page } = opened;
    const group = page.locator('.attention', { hasText: 'LOCATION_NOT_ALLOWED' });
    await group.waitFor();
    expect(await group.locator('.fix').count()).toBe(1);
    expect(await group.innerText()).toContain('not in the list of allowed locations');
    expect(await group.locator('tbody tr').count()).toBe(11);
    await group.locator('summary').click();
    expect(await group.locator('tbody tr').nth(10).isVisible()).toBe(true);
    expect(await group.getByRole('button', { name: 'Retry' }).count()).toBe(0);
  });

  test('finds a table by a part of its name, and shows its last notifications', async () => {
    await using opened = await open({ scenario: SCENARIOS.parked });
    const { page } = opened;
    const field = page.getByRole('searchbox');
    await field.fill('RETURNS');
    await field.press('Enter');
    await page.locator('#found .names').getByText('sales.returns', { exact: true }).click();
    await page.locator('#found h3').waitFor();
    expect(await text(page, '#found')).toMatch(/sales\.returns[^]*delivered[^]*UPDATE[^]*00041-8a3e[^]*admitted/);
    await field.fill('no.such_table');
    await field.press('Enter');
    await page.getByText('No table of that name is known.').waitFor();
  });

  test('says when nothing new comes any more', async () => {
    await using opened = await open({ scenario: SCENARIOS.healthy });
    const { page, stage } = opened;
    await stage.close();
    await page.locator('#live.bad').waitFor({ timeout: 15_000 });
    expect(await text(page, '#live')).toMatch(/no news for \d+ s/);
  });

  test('keeps what is selected and in focus while news come', async () => {
    await using opened = await open({ scenario: SCENARIOS.parked });
    const { page, stage } = opened;
    const button = page.locator('.attention').getByRole('button', { name: 'legacy.sales_2024' });
    await button.focus();
    for (let i = 0; i < 3; i++) {
      stage.notify({ table: { namespace: ['sales'], name: `news_${i}` } });
      await page.locator('#latest').getByText(`sales.news_${i}`).waitFor();
    }
    expect(await page.evaluate('document.activeElement.textContent')).toBe('legacy.sales_2024');
  });
});

describe('A hostile name', () => {
  test('is shown as it is, runs nothing and breaks no layout', async () => {
    await using opened = await open({ scenario: SCENARIOS.hostile, viewport: { width: 390, height: 844 } });
    const { page } = opened;
    await page.locator('.attention').waitFor();
    const shown = await page.locator('.attention .link').allTextContents();
    expect(shown.toSorted()).toEqual(HOSTILE.map(showTable).toSorted());
    expect(await page.locator('main script, main img').count()).toBe(0);
    expect(await text(page, '#targets')).toContain(MARKUP);
    expect(await page.title()).toBe('✗ polaris-push');
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    // A name of 3,000 characters takes a few lines.
    const rows = `[...document.querySelectorAll('.attention tbody tr')].map((row) => row.clientHeight)`;
    const heights = await page.evaluate<readonly number[]>(rows);
    expect(Math.max(...heights)).toBeLessThan(200);
  });

  test('could not run a script even if it came to be markup', async () => {
    await using opened = await open({ scenario: SCENARIOS.healthy });
    const { page, complaints } = opened;
    await page.evaluate(`document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="document.title=1">')`);
    await expect.poll(() => complaints.join(), { timeout: 30_000 }).toMatch(/Content Security Policy/);
    expect(await page.title()).toBe('✓ polaris-push');
  });
});

describe('The admin token', () => {
  test('lets one table be retried and held DROPs be released, and a wrong one nothing', async () => {
    await using opened = await open({ scenario: SCENARIOS.parked, stage: { adminToken: ADMIN } });
    const { page, stage } = opened;
    const field = page.locator('#unlock input');
    await field.fill('not-the-admin-token');
    await field.press('Enter');
    await page.getByText('That is not the admin token.').waitFor();
    expect(await page.locator('.act').count()).toBe(0);
    await field.fill(ADMIN);
    await field.press('Enter');
    await page.getByText('Unlocked').waitFor();
    await page.locator('tr', { hasText: 'sales.returns_staging' }).getByRole('button', { name: 'Retry' }).click();
    await expect.poll(() => stage.orders.length, { timeout: 30_000 }).toBe(1);
    await page.getByRole('button', { name: 'Release all 12' }).click();
    await expect.poll(() => stage.orders.length, { timeout: 30_000 }).toBe(2);
    expect(stage.orders.map(({ kind, tables }) => [kind, tables.length])).toEqual([
      ['retry', 1],
      ['release', 12],
    ]);
    expect(await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])')).not.toContain(ADMIN);
  });
});

describe('A small screen', () => {
  test.for(Object.entries(SCENARIOS))('shows %s without scrolling to the side', async ([, scenario]) => {
    await using opened = await open({ scenario, viewport: { width: 360, height: 640 } });
    expect(await opened.page.evaluate('document.documentElement.scrollWidth')).toBe(360);
  });
});

describe('Colours', () => {
  test.for(['light', 'dark'] as const)('are %s as the reader wants, and texts stand out', async (colorScheme) => {
    await using opened = await open({ scenario: SCENARIOS.parked, colorScheme });
    const contrasts =
      await opened.page.evaluate<readonly { readonly text: string; readonly contrast: number }[]>(CONTRASTS);
    expect(contrasts.length).toBeGreaterThan(20);
    // WCAG AA.
    expect(contrasts.filter(({ contrast }) => contrast < 4.5)).toEqual([]);
  });
});

/** Of each kind of text on the page, its contrast with what is behind it. Runs in the browser. */
const CONTRASTS = `(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const kinds = new Map();
  for (const element of document.querySelectorAll('header *, main *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
    if (!own || element.closest('svg, [hidden], details') !== null) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].toSorted((x, y) => y - x);
    kinds.set(element.tagName + element.className + element.parentElement.className, {
      text: element.textContent.slice(0, 40),
      contrast: (a + 0.05) / (b + 0.05),
    });
  }
  return [...kinds.values()];
})()`;
