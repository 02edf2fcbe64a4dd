import { readdirSync, readFileSync } from 'node:fs';
import type { HttpHandler, Routes } from '../runtime/http-server.ts';

/** For every answer of the page and the API: nobody keeps it, guesses its type, or frames it. */
export const SAFE_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const;

/** Scripts and styles come from files of this server alone, whatever a name from the source may say. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const;

const FOLDER = new URL('page/', import.meta.url);

/** Serves the files of the status page, which are read once. */
export function servePage(routes: Routes): Disposable {
  const stack = new DisposableStack();
  for (const file of readdirSync(FOLDER)) {
    const type = typeOf(file);
    if (type === undefined) continue;
    const path = file === 'page.html' ? '/' : `/${file}`;
    const body = readFileSync(new URL(file, FOLDER));
    const headers = { ...SAFE_HEADERS, 'content-security-policy': PAGE_POLICY, 'content-type': type };
    const handler: HttpHandler = async () => ({ status: 200, headers, body });
    stack.use(routes.route('GET', path, handler));
  }
  return stack;
}

const typeOf = (file: string): string | undefined =>
  Object.entries(TYPES).find(([ending]) => file.endsWith(`.${ending}`))?.[1];
