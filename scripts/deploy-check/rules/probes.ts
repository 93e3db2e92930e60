import { type Container, ofKind, type Rule } from '../containers.ts';
import { ROUTES } from '../image.ts';
import type { Finding, Node } from '../yaml.ts';

/** The paths of each probe: a liveness probe of /ready would kill a server that loads or drains. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  startupProbe: ['/ready', '/health'],
  readinessProbe: ['/ready'],
  livenessProbe: ['/health'],
};
/** The only program of the image, which has no shell. */
const NODE = '/nodejs/bin/node';

/** Rule: every path that a platform requests is a route of the server, and every command that it runs is in the image. */
export const checkProbes: Rule = ({ containers, documents }) => [
  ...containers.filter(({ ours }) => ours).flatMap(checkContainer),
  ...ofKind(documents, 'HealthCheckPolicy').flatMap((object) =>
    checkPath(object.at('spec', 'default', 'config', 'httpHealthCheck', 'requestPath'), ['/ready']),
  ),
  ...ofKind(documents, 'PodMonitoring').flatMap((object) =>
    object.at('spec', 'endpoints').items.flatMap((one) => checkPath(one.at('path'), ['/metrics'])),
  ),
  ...ofKind(documents, 'HTTPRoute')
    .flatMap((route) => route.at('spec', 'rules').items)
    .filter((rule) => rule.at('backendRefs').given)
    .flatMap((rule) => rule.at('matches').items)
    .flatMap((match) => checkMatch(match.at('path'))),
];

/** A path that a load balancer forwards is a route of the server, or a prefix of one. */
function checkMatch(path: Node): Finding[] {
  const value = path.at('value');
  if (!value.given) return [];
  const below = `${value.text?.replace(/\/$/, '')}/`;
  const prefix = path.at('type').text !== 'Exact';
  const paths = ROUTES.map((route) => route.slice(route.indexOf(' ') + 1));
  if (paths.some((one) => one === value.text || (prefix && `${one}/`.startsWith(below)))) return [];
  return [value.finding(`${value.text} is no route of the server`)];
}

function checkContainer({ platform, node }: Container): Finding[] {
  if (platform === 'compose') {
    const test = node.at('healthcheck', 'test');
    const [how, program] = test.items.map(({ text }) => text);
    if (!test.given || how === 'NONE' || (how === 'CMD' && program === NODE)) return [];
    return [test.finding(`expected [CMD, ${NODE}, …]: the image has no shell and no other program`)];
  }
  const probes = Object.entries(PATHS).flatMap(([probe, paths]) => {
    const path = node.at(probe, 'httpGet', 'path');
    if (node.at(probe, 'httpGet').given && !path.given)
      return [node.at(probe, 'httpGet').finding('has no path, and so requests /, which is no probe')];
    return checkPath(path, paths);
  });
  const hooks = ['preStop', 'postStart'].map((hook) => node.at('lifecycle', hook));
  return [
    ...probes,
    ...[...hooks, ...Object.keys(PATHS).map((probe) => node.at(probe))]
      .map((one) => one.at('exec', 'command'))
      .filter((command) => command.given && command.at(0).text !== NODE)
      .map((command) => command.finding(`runs ${command.at(0).text}, and the image has ${NODE} alone`)),
  ];
}

function checkPath(path: Node, expected: readonly string[]): Finding[] {
  const { text } = path;
  if (text === undefined || expected.includes(text)) return [];
  const problem = ROUTES.includes(`GET ${text}`) ? `requests ${text}` : `${text} is no route of the server`;
  return [path.finding(`${problem}, expected ${expected.join(' or ')}`)];
}
