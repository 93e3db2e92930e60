import { fillIn } from '../compose.ts';
import type { Container } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Image } from '../image.ts';
import type { Node } from '../node.ts';
import { ofKind, type Rule } from '../scope.ts';

/** The paths of each probe: a liveness probe of /ready would kill a server that loads or drains. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  startupProbe: ['/ready', '/health'],
  readinessProbe: ['/ready'],
  livenessProbe: ['/health'],
};
const METRICS = '/metrics';
/** The only program of the image, which has no shell. */
const NODE = '/nodejs/bin/node';

/** Rule: every path that a platform requests is a route of the server, and every command that it runs is in the image. */
export const checkProbes: Rule = ({ containers, documents, image }) => [
  ...containers.filter(({ ours }) => ours).flatMap((container) => checkContainer(container, image)),
  ...ofKind(documents, 'networking.gke.io', 'HealthCheckPolicy').flatMap((object) =>
    checkPath(object.at('spec', 'default', 'config', 'httpHealthCheck', 'requestPath'), ['/ready'], image),
  ),
  ...ofKind(documents, 'monitoring.googleapis.com', 'PodMonitoring').flatMap((object) =>
    object.at('spec', 'endpoints').items.flatMap((one) => checkPath(one.at('path'), [METRICS], image)),
  ),
  ...ofKind(documents, 'gateway.networking.k8s.io', 'HTTPRoute').flatMap((object) => checkMatches(object, image)),
];

/** The paths that a load balancer forwards are routes of the server. */
function checkMatches(route: Node, { routes }: Image): Finding[] {
  return route
    .at('spec', 'rules')
    .items.filter((rule) => rule.at('backendRefs').given)
    .flatMap((rule) => rule.at('matches').items)
    .map((match) => match.at('path'))
    .filter(({ given }) => given)
    .flatMap((path) => {
      const value = path.at('value');
      const wanted = value.text ?? '/';
      const prefix = (path.at('type').text ?? 'PathPrefix') === 'PathPrefix';
      const found = [...routes.all].some(
        (one) => one === wanted || (prefix && `${one}/`.startsWith(`${wanted.replace(/\/$/, '')}/`)),
      );
      return found ? [] : [value.finding(`${wanted} is no route of the server: it has ${[...routes.all].join(', ')}`)];
    });
}

function checkContainer({ platform, node }: Container, image: Image): Finding[] {
  if (platform === 'compose') return checkHealthCheck(node.at('healthcheck', 'test'));
  const findings: Finding[] = [];
  for (const [probe, paths] of Object.entries(PATHS)) {
    const get = node.at(probe, 'httpGet');
    if (get.given && !get.at('path').given)
      findings.push(get.finding('asks no path, and so /: no route of the server'));
    findings.push(...checkPath(get.at('path'), paths, image));
    findings.push(...checkCommand(node.at(probe, 'exec', 'command')));
  }
  for (const hook of ['preStop', 'postStart']) {
    findings.push(...checkCommand(node.at('lifecycle', hook, 'exec', 'command')));
    const path = node.at('lifecycle', hook, 'httpGet', 'path');
    if (path.given) findings.push(...checkPath(path, [...image.routes.probes], image));
  }
  return findings;
}

function checkPath(path: Node, expected: readonly string[], { routes: { probes } }: Image): Finding[] {
  if (!path.given) return [];
  if (!probes.has(path.text ?? ''))
    return [path.finding(`${path.text} is no route of the server: it has ${[...probes].join(', ')}`)];
  return expected.includes(path.text ?? '')
    ? []
    : [path.finding(`asks ${path.text}, expected ${expected.join(' or ')}`)];
}

function checkCommand(command: Node): Finding[] {
  const [program] = command.items;
  if (!command.given || program?.text === NODE) return [];
  return [command.finding(`runs ${program?.text ?? command.text}, and the image has ${NODE} alone`)];
}

/** The health check of docker-compose, which replaces that of the image. */
function checkHealthCheck(test: Node): Finding[] {
  if (!test.given || test.items[0]?.text === 'NONE') return [];
  const [how, program] = test.items;
  if (how?.text === 'CMD' && fillIn(program?.text ?? '') === NODE) return [];
  return [test.finding(`expected [CMD, ${NODE}, …]: the image has no shell and no other program`)];
}
