import { SETTINGS } from '../../../functions/config/settings.ts';
import { readDuration } from '../compose.ts';
import type { Container, Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import { ofKind, type Rule, type Scope } from '../scope.ts';

/** Cloud Run kills an instance this long after SIGTERM: https://cloud.google.com/run/docs/container-contract */
const CLOUD_RUN_SECONDS = 10;
/** The default of a pod's `terminationGracePeriodSeconds`. */
const KUBERNETES_SECONDS = 30;
/** GKE's grace period for pods on Spot VMs that are reclaimed: https://docs.cloud.google.com/kubernetes-engine/docs/concepts/spot-vms */
const SPOT_SECONDS = 15;
/** The default of `stop_grace_period` of a service of docker-compose. */
const COMPOSE_MS = 10_000;

const SPOT_LABELS = ['cloud.google.com/gke-spot', 'cloud.google.com/gke-provisioning'];
const COMPUTE_CLASS = 'cloud.google.com/compute-class';

/** Rule: the server's shutdown is over before its platform kills it. */
export const checkShutdown: Rule = (scope) => [
  ...scope.pods.flatMap((pod) => pod.containers.filter(isServer).flatMap((one) => checkPod(one, pod, scope))),
  ...scope.containers.filter((one) => isServer(one) && one.platform === 'compose').flatMap(checkCompose),
];

function isServer({ ours, init }: Container): boolean {
  return ours && !init;
}

function checkPod(container: Container, pod: Pod, scope: Scope): Finding[] {
  const { node } = container;
  const grace = graceOf(container);
  if (pod.platform === 'cloud-run') return tooLong(grace, 0, CLOUD_RUN_SECONDS * 1000, 'Cloud Run kills');
  // Patches and settings of several files are combined only in a build.
  if (!scope.built) return [];
  const wait = node.at('lifecycle', 'preStop', 'sleep', 'seconds').number ?? 0;
  const limit = pod.spec.at('terminationGracePeriodSeconds').number ?? KUBERNETES_SECONDS;
  const findings = tooLong(grace, wait * 1000, limit * 1000, 'Kubernetes kills');
  if (onSpot(pod, scope))
    findings.push(...tooLong(grace, wait * 1000, SPOT_SECONDS * 1000, 'a Spot node that is taken back kills'));
  return findings;
}

function checkCompose(container: Container): Finding[] {
  const period = container.node.at('stop_grace_period');
  const limit = period.text === undefined ? COMPOSE_MS : readDuration(period.text);
  if (limit === undefined) return [period.finding(`${period.text} is no duration, like 30s or 1m30s`)];
  return tooLong(graceOf(container), 0, limit, 'docker-compose kills');
}

interface Grace {
  readonly ms: number;
  readonly node: Node;
}

function graceOf({ node, env }: Container): Grace {
  const set = env.find(({ name }) => name === 'SHUTDOWN_GRACE_MS');
  const text = set?.value?.trim() || SETTINGS.SHUTDOWN_GRACE_MS.default;
  return { ms: Number(text), node: set?.node ?? node };
}

function tooLong({ ms, node }: Grace, waitMs: number, limitMs: number, who: string): Finding[] {
  if (!(ms + waitMs >= limitMs)) return [];
  const sum = waitMs === 0 ? '' : ` after a preStop of ${waitMs} ms`;
  return [node.finding(`SHUTDOWN_GRACE_MS of ${ms}${sum}, but ${who} after ${limitMs} ms: less is expected`)];
}

/** Whether the pod may run on Spot nodes: it selects them, or its compute class has them. */
function onSpot({ spec }: Pod, { documents }: Scope): boolean {
  const wanted = new Map(spec.at('nodeSelector').entries.map(([name, node]) => [name, node.text ?? '']));
  for (const preference of termsOf(spec.at('affinity', 'nodeAffinity'))) {
    for (const value of preference.at('values').items) wanted.set(preference.at('key').text ?? '', value.text ?? '');
  }
  if (SPOT_LABELS.some((label) => ['true', 'spot'].includes(wanted.get(label) ?? ''))) return true;
  const name = wanted.get(COMPUTE_CLASS);
  if (name === undefined) return false;
  if (name.includes('spot')) return true;
  return ofKind(documents, 'cloud.google.com', 'ComputeClass')
    .filter((one) => one.at('metadata', 'name').text === name)
    .some((one) => one.at('spec', 'priorities').items.some((priority) => priority.at('spot').value === true));
}

function termsOf(affinity: Node): Node[] {
  const required = affinity.at('requiredDuringSchedulingIgnoredDuringExecution', 'nodeSelectorTerms').items;
  const preferred = affinity
    .at('preferredDuringSchedulingIgnoredDuringExecution')
    .items.map((one) => one.at('preference'));
  return [...required, ...preferred].flatMap((term) => term.at('matchExpressions').items);
}
