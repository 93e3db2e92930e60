import { sendCached } from '../../http/cached-response.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import { createAssetReader } from './assets.ts';

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** Nothing but this server's own files runs, styles, or is talked to; nothing of it can be framed. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
];
/** The page makes no markup from text; the viewer at /docs does, of Markdown that it cleans. */
const PAGE_POLICY = [...POLICY, "require-trusted-types-for 'script'"];

/** Where each file of the pages stands: its path on this server, its path below `dist/`, and its type. */
const FILES: readonly (readonly [path: string, file: string, type: string, policy?: readonly string[]])[] = [
  ['/', 'page/index.html', HTML, PAGE_POLICY],
  ['/page/page.css', 'page/page.css', STYLE],
  ['/page/page.js', 'page/page.js', SCRIPT],
  ['/docs', 'docs/index.html', HTML, POLICY],
  ['/docs/docs.css', 'docs/docs.css', STYLE],
  ['/docs/docs.js', 'docs/docs.js', SCRIPT],
  ['/docs/swagger-ui.css', 'docs/swagger-ui.css', STYLE],
  ['/docs/swagger-ui-bundle.js', 'docs/swagger-ui-bundle.js', SCRIPT],
];

/** `GET /`, a page to try the model on, and `GET /docs`, a viewer of `/openapi.json`, with what they load. */
export function createPageRoutes(): Route[] {
  const read = createAssetReader();
  return FILES.map(([path, file, type, policy]) => {
    const headers = ['X-Content-Type-Options', 'nosniff', 'Referrer-Policy', 'no-referrer'];
    if (policy !== undefined) headers.push('Content-Security-Policy', policy.join('; '));
    async function handle(context: RequestContext): Promise<void> {
      await sendCached(context, await read(file, type), ['br', 'gzip'], headers);
    }
    return { method: 'GET', path, handle };
  });
}
