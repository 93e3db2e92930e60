import { type Container, ofKind, type Rule, type Scope, selects, settingOf } from '../containers.ts';
import type { Finding, Node } from '../yaml.ts';

const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe'];

/** Rule: every port that leads to our server is the one on which it listens, and a selector selects a pod. */
export const checkPorts: Rule = (scope) => [
  ...scope.containers.flatMap((container) => checkContainer(container, scope)),
  ...targetsOf(scope.documents).flatMap(({ selector, ports }) => checkTarget(selector, ports, scope)),
  ...ofKind(scope.documents, 'HealthCheckPolicy')
    .map((policy) => policy.at('spec', 'default', 'config', 'httpHealthCheck', 'port'))
    .filter((port) => port.given && port.number !== scope.image.port)
    .map((port) => wrong(port, [scope.image.port])),
  ...ofKind(scope.documents, 'PodMonitoring').flatMap((one) => checkMetrics(one, scope)),
];

/** Metrics are served on the admin port alone, if there is one. */
function checkMetrics(monitoring: Node, scope: Scope): Finding[] {
  const selector = monitoring.at('spec', 'selector', 'matchLabels');
  const containers = scope.pods
    .filter(({ labels }) => selects(selector, labels))
    .flatMap((pod) => pod.containers.filter(({ ours, init }) => ours && !init));
  const ports = monitoring.at('spec', 'endpoints').items.map((endpoint) => endpoint.at('port'));
  return containers.flatMap((container) => {
    const [requests, admin] = portsOf(container, scope);
    const numberOf = (port: Node): number | undefined =>
      port.number ??
      container.node
        .at('ports')
        .items.find((one) => one.at('name').text === port.text)
        ?.at('containerPort').number;
    return ports
      .filter((port) => admin !== undefined && numberOf(port) === requests)
      .map((port) => port.finding(`port ${requests}, but metrics are on ADMIN_PORT, ${admin}`));
  });
}

function checkContainer(container: Container, scope: Scope): Finding[] {
  const { platform, node, ours } = container;
  if (platform === 'compose') {
    const targets = node.at('ports').items.map((port) => (port.at('target').given ? port.at('target') : port));
    const [listens] = portsOf(container, scope);
    return targets
      .filter((target) => ours && Number(/(\d+)(?:\/\w+)?$/.exec(target.text ?? '')?.[1]) !== listens)
      .map((target) => wrong(target, [listens!]));
  }
  const own = ours ? node.at('ports').items.map((port) => port.at('containerPort')) : [];
  const probed = PROBES.flatMap((probe) => ['httpGet', 'tcpSocket', 'grpc'].map((how) => node.at(probe, how)))
    // A probe of Cloud Run without a port uses the container's.
    .filter((probe) => probe.given && (probe.at('port').given || platform === 'kubernetes'))
    .map((probe) => probe.at('port'));
  return [...own, ...probed].flatMap((port) => checkPort(port, container, scope));
}

/** The ports on which a container listens: ours by its settings, another by its manifest, which may have none. */
function portsOf(container: Container, { image }: Scope): number[] {
  const { ours, node } = container;
  if (!ours) return node.at('ports').items.map((one) => one.at('containerPort').number ?? Number.NaN);
  const admin = settingOf(container, 'ADMIN_PORT');
  return [Number(settingOf(container, 'PORT') ?? image.port), ...(admin === undefined ? [] : [Number(admin)])];
}

/** Checks a port by its number, or by its name in a container. */
function checkPort(port: Node, container: Container, scope: Scope): Finding[] {
  const listens = portsOf(container, scope);
  if (port.number !== undefined)
    return listens.length === 0 || listens.includes(port.number) ? [] : [wrong(port, listens)];
  if (container.node.at('ports').items.some((one) => port.given && one.at('name').text === port.text)) return [];
  return [port.finding(port.given ? `no port of the container is named ${port.text}` : 'the port is missing')];
}

function wrong(port: Node, listens: readonly number[]): Finding {
  return port.finding(`port ${port.text ?? 'missing'}, but the container listens on ${listens.join(', ')}`);
}

/** The labels by which objects select pods, and the ports by which they reach them. */
function targetsOf(documents: readonly Node[]): { selector: Node; ports: Node[] }[] {
  const portsIn = (rules: Node) => rules.at('ports').items.map((one) => one.at('port'));
  const specs = (kind: string) => ofKind(documents, kind).map((object) => object.at('spec'));
  return [
    ...specs('Service')
      .filter((spec) => spec.at('selector').given)
      .map((spec) => ({
        selector: spec.at('selector'),
        ports: spec.at('ports').items.map((port) => port.at(port.at('targetPort').given ? 'targetPort' : 'port')),
      })),
    ...[...specs('PodMonitoring'), ...specs('PodDisruptionBudget')].map((spec) => ({
      selector: spec.at('selector', 'matchLabels'),
      ports: spec.at('endpoints').items.map((endpoint) => endpoint.at('port')),
    })),
    ...specs('NetworkPolicy').flatMap((spec) => [
      { selector: spec.at('podSelector', 'matchLabels'), ports: spec.at('ingress').items.flatMap(portsIn) },
      ...spec.at('egress').items.flatMap((rule) =>
        rule
          .at('to')
          .items.map((to) => to.at('podSelector', 'matchLabels'))
          .filter(({ given }) => given)
          .map((selector) => ({ selector, ports: portsIn(rule) })),
      ),
    ]),
  ];
}

function checkTarget(selector: Node, ports: readonly Node[], scope: Scope): Finding[] {
  const pods = scope.pods.filter(({ platform, labels }) => platform === 'kubernetes' && selects(selector, labels));
  if (pods.length === 0) return [selector.finding('selects no pod')];
  return pods.flatMap(({ containers }) => {
    const servers = containers.filter(({ init, node, ours }) => !init && (ours || node.at('ports').given));
    return ports.flatMap((port) => {
      const found = servers.map((container) => checkPort(port, container, scope));
      // One container of a pod is enough.
      return found.some((one) => one.length === 0) ? [] : (found[0] ?? []);
    });
  });
}
