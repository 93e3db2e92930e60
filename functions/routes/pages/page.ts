import { sendCached } from '../../http/cached-response.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import { createAssetReader } from './assets.ts';

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** Allows scripts, styles and requests of this server alone, and no framing (Content Security Policy, level 3). */
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
/**
 * The page creates no markup from text; the viewer at /docs does, from Markdown that it sanitizes. The page shows pictures of the
 * user's disk and camera, which are blobs.
 */
const PAGE_POLICY = [
  ...POLICY.map((one) => (one.startsWith('img-src') ? `${one} blob:` : one)),
  "require-trusted-types-for 'script'",
];

/** The files of the pages: the path on this server, the path below `dist/`, the media type, and the policy. */
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

/** `GET /`, a page to try the model, and `GET /docs`, a viewer of `/openapi.json`, with the files that they load. */
export function createPageRoutes(): Route[] {
  const read = createAssetReader();
  return FILES.map(([path, file, type, policy]) => {
    async function handle(context: RequestContext): Promise<void> {
      await sendCached(context, await read(file, type), ['br', 'gzip'], policy?.join('; '));
    }
    return { method: 'GET', path, handle };
  });
}
