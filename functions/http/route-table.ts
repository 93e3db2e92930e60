import { ServingError } from '../errors.ts';
import { shorten } from '../shorten.ts';

/** The fields by which a table finds a route. */
interface Addressed {
  readonly method: 'GET' | 'POST';
  readonly path: string;
}

/** A route, and the parameters in the path by name. */
interface Found<R> {
  readonly route: R;
  readonly params: Readonly<Record<string, string>>;
}

interface RouteTable<R> {
  /** The route of a request, with its parameters percent-decoded. @throws ServingError `NOT_FOUND`, `METHOD_NOT_ALLOWED`; `INVALID_INPUT` for a part that is not valid percent-encoding. */
  find(path: string, method: string): Found<R>;
  /** The path, as the route declares it, that matches a request's path: `/models/{name}` for `/models/iris`. */
  patternOf(path: string): string | undefined;
}

/** The parameters of a path that has none. */
export const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});

type Methods<R> = Map<string, Found<R>>;

/**
 * A table of routes: paths without parameters are found by one lookup, the others are tried in turn. Of two routes with the same
 * path and method, the later is found; a path without parameters is found before one with them.
 */
export function createRouteTable<R extends Addressed>(routes: readonly R[]): RouteTable<R> {
  const exact = new Map<string, Methods<R>>();
  const patterns = new Map<
    string,
    { readonly matcher: RegExp; readonly names: string[]; readonly methods: Methods<R> }
  >();
  for (const route of routes) {
    const methods = methodsAt(route.path);
    const found = { route, params: NO_PARAMS };
    methods.set(route.method, found);
    if (route.method === 'GET') methods.set('HEAD', found);
  }

  function methodsAt(path: string): Methods<R> {
    const known = exact.get(path) ?? patterns.get(path)?.methods;
    if (known !== undefined) return known;
    const methods: Methods<R> = new Map();
    const names = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name!);
    if (names.length === 0) exact.set(path, methods);
    else patterns.set(path, { matcher: new RegExp(`^${path.replace(/\{\w+\}/g, '([^/]+)')}$`), names, methods });
    return methods;
  }

  function match(path: string): { methods: Methods<R>; pattern: string; params: Record<string, string> } | undefined {
    for (const [pattern, { matcher, names, methods }] of patterns) {
      const found = matcher.exec(path);
      if (found === null) continue;
      return { methods, pattern, params: Object.fromEntries(names.map((name, i) => [name, found[i + 1]!])) };
    }
    return undefined;
  }

  function choose(methods: Methods<R>, path: string, method: string): Found<R> {
    const found = methods.get(method);
    if (found !== undefined) return found;
    const allow = [...methods.keys()].join(', ');
    throw new ServingError('METHOD_NOT_ALLOWED', `${shorten(path, 200)} takes ${allow}, not ${method}`, { allow });
  }

  return {
    find(path, method) {
      const methods = exact.get(path);
      const here = methods?.get(method);
      if (here !== undefined) return here;
      const found = match(path);
      if (methods !== undefined && found?.methods.has(method) !== true) return choose(methods, path, method);
      if (found === undefined) throw new ServingError('NOT_FOUND', `there is no route ${shorten(path, 200)}`);
      const { route } = choose(found.methods, path, method);
      const params = Object.entries(found.params).map(([name, part]) => [name, decode(part)]);
      return { route, params: Object.fromEntries(params) as Record<string, string> };
    },
    patternOf: (path) => (exact.has(path) ? path : match(path)?.pattern),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ServingError('INVALID_INPUT', `${shorten(part)} in the path is not valid percent-encoding`, {
      path: 'url',
    });
  }
}
