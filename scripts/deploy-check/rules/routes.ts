import { ofKind, type Rule, settingOf } from '../containers.ts';
import { isForOperators, ROUTES } from '../image.ts';
import type { Finding, Node } from '../yaml.ts';

/**
 * Rule: every path that a load balancer forwards is a route of the server, and none of them is for operators: those are on the admin
 * port, which a load balancer does not reach, or are not forwarded.
 */
export const checkRoutes: Rule = ({ documents, containers }) => {
  const matches = matchesOf(documents);
  const exposed = containers.some((one) => one.ours && !one.init && settingOf(one, 'ADMIN_PORT') === undefined);
  return matches.flatMap((path) => [...checkPath(path), ...(exposed ? checkOperators(path) : [])]);
};

/** The paths that the routes of a build forward to the server. A rule without matches forwards all. */
export function matchesOf(documents: readonly Node[]): Node[] {
  return ofKind(documents, 'HTTPRoute')
    .flatMap((route) => route.at('spec', 'rules').items)
    .filter((rule) => rule.at('backendRefs').given)
    .flatMap((rule) => (rule.at('matches').given ? rule.at('matches').items : [rule]))
    .map((match) => match.at('path'));
}

/** Whether a match of a path forwards a route: https://gateway-api.sigs.k8s.io/reference/spec/#pathmatchtype */
export function forwards(path: Node, route: string): boolean {
  const value = path.at('value').text ?? '/';
  return path.at('type').text === 'Exact' ? route === value : `${route}/`.startsWith(`${value.replace(/\/$/, '')}/`);
}

const pathOf = (route: string): string => route.slice(route.indexOf(' ') + 1);

function checkPath(path: Node): Finding[] {
  if (ROUTES.some((route) => forwards(path, pathOf(route)))) return [];
  return [path.at('value').finding(`${path.at('value').text} is no route of the server`)];
}

function checkOperators(path: Node): Finding[] {
  const forwarded = ROUTES.filter((route) => isForOperators(route) && forwards(path, pathOf(route)));
  if (forwarded.length === 0) return [];
  return [path.finding(`forwards ${forwarded[0]}, which is for operators: set ADMIN_PORT, which serves it elsewhere`)];
}
