import { SETTINGS } from '../../../functions/config/settings.ts';
import { type Container, ofKind, type Rule, settingOf } from '../containers.ts';
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
];

function checkContainer(container: Container): Finding[] {
  const { platform, node } = container;
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
    ...(platform === 'kubernetes' ? checkStartup(container) : []),
    ...[...hooks, ...Object.keys(PATHS).map((probe) => node.at(probe))]
      .map((one) => one.at('exec', 'command'))
      .filter((command) => command.given && command.at(0).text !== NODE)
      .map((command) => command.finding(`runs ${command.at(0).text}, and the image has ${NODE} alone`)),
  ];
}

/** A container is killed when its startup probe gives up: the server's own limit for a load comes first. Cloud Run allows 240 s. */
function checkStartup(container: Container): Finding[] {
  const probe = container.node.at('startupProbe');
  if (probe.at('httpGet', 'path').text !== '/ready') return [];
  const seconds = (probe.at('periodSeconds').number ?? 10) * (probe.at('failureThreshold').number ?? 3);
  const load = Number(settingOf(container, 'LOAD_TIMEOUT_MS') ?? SETTINGS.LOAD_TIMEOUT_MS.default);
  if (!(load > seconds * 1000)) return [];
  return [probe.finding(`gives up after ${seconds} s, but a model may load for LOAD_TIMEOUT_MS, ${load} ms`)];
}

function checkPath(path: Node, expected: readonly string[]): Finding[] {
  const { text } = path;
  if (text === undefined || expected.includes(text)) return [];
  const problem = ROUTES.includes(`GET ${text}`) ? `requests ${text}` : `${text} is no route of the server`;
  return [path.finding(`${problem}, expected ${expected.join(' or ')}`)];
}
