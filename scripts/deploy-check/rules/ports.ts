import type { Container } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import { ofKind, type Rule, type Scope, selects } from '../scope.ts';

const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;

/** Rule: every port that leads to our server is the one on which it listens. */
export const checkPorts: Rule = (scope) => [
  ...scope.containers.flatMap((container) => checkContainer(container, scope)),
  ...scope.services.flatMap((service) => checkService(service, scope)),
  ...ofKind(scope.documents, 'monitoring.googleapis.com', 'PodMonitoring').flatMap((one) =>
    checkMonitoring(one, scope),
  ),
  ...ofKind(scope.documents, 'networking.k8s.io', 'NetworkPolicy').flatMap((one) => checkNetworkPolicy(one, scope)),
  ...ofKind(scope.documents, 'networking.gke.io', 'HealthCheckPolicy').flatMap((one) => checkHealthCheck(one, scope)),
  ...ofKind(scope.documents, 'gateway.networking.k8s.io', 'HTTPRoute').flatMap((one) => checkRoute(one, scope)),
];

function checkContainer(container: Container, scope: Scope): Finding[] {
  const { platform, node, ours } = container;
  if (platform === 'compose') return ours ? checkCompose(node, container, scope) : [];
  const findings = ours
    ? node.at('ports').items.flatMap((port) => checkPort(port.at('containerPort'), container, scope))
    : [];
  for (const probe of PROBES) {
    for (const how of ['httpGet', 'tcpSocket', 'grpc']) {
      const port = node.at(probe, how, 'port');
      // A probe of Cloud Run without a port uses the container's.
      if (node.at(probe, how).given && (port.given || platform === 'kubernetes'))
        findings.push(...checkPort(port, container, scope));
    }
  }
  return findings;
}

function checkCompose(node: Node, container: Container, { image }: Scope): Finding[] {
  const [listens = image.port] = portsOf(container, image.port, true);
  const published = node.at('ports').items.map((port) => {
    if (port.at('target').given)
      return port.at('target').number === listens ? [] : [wrong(port.at('target'), [listens])];
    const [target = ''] = (port.text ?? '').split(':').at(-1)!.split('/');
    return Number(target) === listens ? [] : [wrong(port, [listens])];
  });
  const exposed = node.at('expose').items.map((port) => (port.number === listens ? [] : [wrong(port, [listens])]));
  return [...published, ...exposed].flat();
}

/** The ports on which a container listens: ours by its settings, another by its manifest, which may have none. */
function portsOf({ ours, env, node }: Container, port: number, known: boolean): number[] {
  if (!ours) return node.at('ports').items.map((one) => one.at('containerPort').number ?? Number.NaN);
  const set = (setting: string): string | undefined => env.find(({ name }) => name === setting)?.value;
  const [own, admin] = known ? [set('PORT'), set('ADMIN_PORT')] : [];
  return [own === undefined ? port : Number(own), ...(admin === undefined ? [] : [Number(admin)])];
}

/** Checks a port by its number, or by its name in a container. */
function checkPort(port: Node, container: Container, { built, image }: Scope): Finding[] {
  // In files as they are written, it is not known which ConfigMap is used.
  const listens = portsOf(container, image.port, built || container.platform !== 'kubernetes');
  if (port.number !== undefined)
    return listens.length === 0 || listens.includes(port.number) ? [] : [wrong(port, listens)];
  const ports = container.node.at('ports');
  // A patch may lack the ports, which its target has.
  if (ports.items.some((one) => one.at('name').text === port.text) || (!built && !ports.given)) return [];
  return [port.finding(`no port of the container is named ${port.text ?? 'like that'}`)];
}

function wrong(port: Node, listens: readonly number[]): Finding {
  return port.finding(`port ${port.text ?? 'missing'}, but the container listens on ${listens.join(', ')}`);
}

/** Checks ports against the containers of the pods that have these labels. */
function checkBehind(matchLabels: Node, ports: readonly Node[], scope: Scope): Finding[] {
  const pods = scope.pods.filter(
    ({ platform, metadata }) =>
      platform === 'kubernetes' && metadata.given && selects(matchLabels, metadata.at('labels')),
  );
  if (scope.built && pods.length === 0) return [matchLabels.finding('selects no pod')];
  return pods.flatMap(({ containers }) => {
    const servers = containers.filter(({ init, node, ours }) => !init && (ours || node.at('ports').given));
    return ports.flatMap((port) => {
      const found = servers.map((container) => checkPort(port, container, scope));
      // One container of a pod is enough.
      return found.some((one) => one.length === 0) ? [] : (found[0] ?? []);
    });
  });
}

function checkService(service: Node, scope: Scope): Finding[] {
  const selector = service.at('spec', 'selector');
  if (!selector.given) return [];
  const ports = service.at('spec', 'ports').items;
  const targets = ports.map((port) => (port.at('targetPort').given ? port.at('targetPort') : port.at('port')));
  return checkBehind(selector, targets, scope);
}

function checkMonitoring(object: Node, scope: Scope): Finding[] {
  const ports = object.at('spec', 'endpoints').items.map((one) => one.at('port'));
  return checkBehind(object.at('spec', 'selector', 'matchLabels'), ports, scope);
}

/** Checks the ports of a policy: incoming, and outgoing to pods that it names. */
function checkNetworkPolicy(object: Node, scope: Scope): Finding[] {
  const portsOfRule = (rule: Node): Node[] => rule.at('ports').items.map((one) => one.at('port'));
  const ingress = object.at('spec', 'ingress').items.flatMap(portsOfRule);
  const egress = object.at('spec', 'egress').items.flatMap((rule) =>
    rule
      .at('to')
      .items.map((one) => one.at('podSelector', 'matchLabels'))
      .filter(({ given }) => given)
      .flatMap((matchLabels) => checkBehind(matchLabels, portsOfRule(rule), scope)),
  );
  return [...checkBehind(object.at('spec', 'podSelector', 'matchLabels'), ingress, scope), ...egress];
}

/** GKE's load balancer sends health checks to the pods, at a default port if none is given. */
function checkHealthCheck(object: Node, scope: Scope): Finding[] {
  const port = object.at('spec', 'default', 'config', 'httpHealthCheck', 'port');
  return port.given && port.number !== scope.image.port ? [wrong(port, [scope.image.port])] : [];
}

function checkRoute(object: Node, scope: Scope): Finding[] {
  if (!scope.built) return [];
  return object
    .at('spec', 'rules')
    .items.flatMap((rule) => rule.at('backendRefs').items)
    .filter((backend) => (backend.at('kind').text ?? 'Service') === 'Service')
    .flatMap((backend) => {
      const service = scope.services.find((one) => one.at('metadata', 'name').text === backend.at('name').text);
      if (service === undefined) return [backend.finding(`there is no Service ${backend.at('name').text}`)];
      const port = backend.at('port');
      const known = service.at('spec', 'ports').items.map((one) => one.at('port').number);
      if (known.includes(port.number)) return [];
      return [port.finding(`port ${port.text ?? 'missing'}, but ${service.object} has ${known.join(', ')}`)];
    });
}
