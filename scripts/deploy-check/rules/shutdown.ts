import { SETTINGS } from '../../../functions/config/settings.ts';
import { type Container, ofKind, type Pod, type Rule, type Scope } from '../containers.ts';
import type { Finding } from '../yaml.ts';

/** Cloud Run kills an instance this long after SIGTERM: https://cloud.google.com/run/docs/container-contract */
const CLOUD_RUN_SECONDS = 10;
/** The default of a pod's `terminationGracePeriodSeconds`. */
const KUBERNETES_SECONDS = 30;
/** GKE's grace period for pods on Spot VMs that are reclaimed: https://docs.cloud.google.com/kubernetes-engine/docs/concepts/spot-vms */
const SPOT_SECONDS = 15;
/** The default of `stop_grace_period` of a service of docker-compose. */
const COMPOSE = '10s';

/** Rule: the server's shutdown is over before its platform kills it. */
export const checkShutdown: Rule = (scope) => [
  ...scope.pods.flatMap((pod) => pod.containers.filter(isServer).flatMap((one) => checkPod(one, pod, scope))),
  ...scope.containers.filter((one) => isServer(one) && one.platform === 'compose').flatMap(checkCompose),
];

const isServer = ({ ours, init }: Container): boolean => ours && !init;

function checkPod(container: Container, pod: Pod, scope: Scope): Finding[] {
  if (pod.platform === 'cloud-run') return tooLong(container, 0, CLOUD_RUN_SECONDS, 'Cloud Run kills');
  const wait = container.node.at('lifecycle', 'preStop', 'sleep', 'seconds').number ?? 0;
  const limit = pod.spec.at('terminationGracePeriodSeconds').number ?? KUBERNETES_SECONDS;
  return [
    ...tooLong(container, wait, limit, 'Kubernetes kills'),
    ...(onSpot(pod, scope) ? tooLong(container, wait, SPOT_SECONDS, 'a Spot node that is reclaimed kills') : []),
  ];
}

function checkCompose(container: Container): Finding[] {
  const period = container.node.at('stop_grace_period');
  const [, number, unit] = /^(\d+)(s|m)$/.exec(period.text ?? COMPOSE) ?? [];
  if (number === undefined) return [period.finding(`${period.text}, expected seconds or minutes: 30s, 1m`)];
  return tooLong(container, 0, Number(number) * (unit === 'm' ? 60 : 1), 'docker-compose kills');
}

function tooLong({ node, env }: Container, wait: number, limit: number, who: string): Finding[] {
  const set = env.find(({ name }) => name === 'SHUTDOWN_GRACE_MS');
  const ms = Number(set?.value?.trim() || SETTINGS.SHUTDOWN_GRACE_MS.default);
  // Not a number: the rule of the environment reports it.
  if (!(ms + wait * 1000 >= limit * 1000)) return [];
  const after = wait === 0 ? '' : ` after a preStop of ${wait} s`;
  return [
    (set?.node ?? node).finding(`SHUTDOWN_GRACE_MS of ${ms}${after}, but ${who} after ${limit} s: less is expected`),
  ];
}

/** Whether the pod may run on Spot nodes: it selects them by a label, or a compute class that has them. */
function onSpot({ spec }: Pod, { documents }: Scope): boolean {
  const selected = JSON.stringify([spec.at('nodeSelector').value, spec.at('affinity', 'nodeAffinity').value]);
  const classes = ofKind(documents, 'ComputeClass').filter((one) =>
    one.at('spec', 'priorities').items.some((priority) => priority.at('spot').value === true),
  );
  return /spot/.test(selected) || classes.some((one) => selected.includes(`"${one.at('metadata', 'name').text}"`));
}
