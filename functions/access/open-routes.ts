/** The routes that an operator may open to everybody, by the names that `AUTH_OPEN` takes: those whose paths match. */
const OPENABLE = {
  '/': /^\/(page\/.+)?$/,
  '/docs': /^\/docs(\/.+)?$/,
  '/openapi.json': /^\/openapi\.json$/,
  '/metrics': /^\/metrics$/,
  '/v2/models/{name}/ready': /^\/v2\/models\/\{name\}(\/versions\/\{version\})?\/ready$/,
} as const;

export type OpenRoute = keyof typeof OPENABLE;
export const OPEN_ROUTES = Object.keys(OPENABLE) as readonly OpenRoute[];

/** Whether a route is one of those. Only `GET` is: Vertex AI may set the same path for predictions. */
export const isOpened = (open: readonly OpenRoute[], { method, path }: { method: string; path: string }): boolean =>
  method === 'GET' && open.some((name) => OPENABLE[name].test(path));
