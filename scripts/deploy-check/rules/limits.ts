import { readBytes } from '../compose.ts';
import type { Container, Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import { readQuantity } from '../quantity.ts';
import { ofKind, type Rule, type Scope, selects } from '../scope.ts';

const GPU = 'nvidia.com/gpu';

/** Requests, limits and replicas fit each other. */
export const checkLimits: Rule = (scope) => [
  ...scope.containers.flatMap((container) => checkContainer(container, scope.built)),
  ...ofKind(scope.documents, 'autoscaling', 'HorizontalPodAutoscaler').flatMap((one) => checkAutoscaler(one, scope)),
  ...(scope.built ? ofKind(scope.documents, 'policy', 'PodDisruptionBudget') : []).flatMap((one) =>
    checkBudget(one, scope),
  ),
];

function checkContainer({ platform, node, ours, init, env }: Container, built: boolean): Finding[] {
  const compose = platform === 'compose';
  const limits = compose ? node.at('deploy', 'resources', 'limits') : node.at('resources', 'limits');
  const requests = compose ? node.at('deploy', 'resources', 'reservations') : node.at('resources', 'requests');
  const findings: Finding[] = [];
  for (const [name, request] of requests.entries) {
    const limit = readQuantity(limits.at(name).text);
    const asked = readQuantity(request.text);
    if (limit !== undefined && asked !== undefined && asked > limit)
      findings.push(request.finding(`requests ${request.text}, above its limit of ${limits.at(name).text}`));
    if (name === GPU && request.text !== limits.at(name).text)
      findings.push(
        request.finding(`requests ${request.text}, but GPUs are given by the limit, ${limits.at(name).text}`),
      );
  }
  if (!ours || init) return findings;
  const memory = compose && node.at('mem_limit').given ? node.at('mem_limit') : limits.at('memory');
  // By the limit the server tells how many engines and models there is room for.
  if (!memory.given && (built || platform === 'cloud-run'))
    findings.push(limits.finding('no memory limit: the server would take what the whole node has for its own'));
  if (platform === 'kubernetes' && !built) return findings;
  const budget = env.find(({ name }) => name === 'MODEL_MEMORY_BUDGET');
  const most = compose ? readBytes(memory.text) : readQuantity(memory.text);
  if (budget?.value !== undefined && most !== undefined && Number(budget.value) >= most)
    findings.push(
      budget.node.finding(`MODEL_MEMORY_BUDGET of ${budget.value}, not below the memory limit of ${memory.text}`),
    );
  return findings;
}

function checkAutoscaler(object: Node, scope: Scope): Finding[] {
  const findings: Finding[] = [];
  const least = object.at('spec', 'minReplicas');
  const most = object.at('spec', 'maxReplicas');
  if ((least.number ?? 1) > (most.number ?? Infinity))
    findings.push(least.finding(`minReplicas ${least.text}, above maxReplicas ${most.text}`));
  if (!scope.built) return findings;
  const target = object.at('spec', 'scaleTargetRef');
  const pod = scope.pods.find((one) => isTarget(one, target));
  if (pod === undefined)
    return [...findings, target.finding(`there is no ${target.at('kind').text} ${target.at('name').text}`)];
  const replicas = pod.object.at('spec', 'replicas');
  if (replicas.given) findings.push(replicas.finding(`is set, and so each apply undoes what ${object.object} scaled`));
  for (const metric of object.at('spec', 'metrics').items) {
    const name = metric.at('resource', 'name').text;
    if (name === undefined || !metric.at('resource', 'target', 'averageUtilization').given) continue;
    for (const { node } of pod.containers.filter(({ init }) => !init)) {
      if (!node.at('resources', 'requests', name).given && !node.at('resources', 'limits', name).given)
        findings.push(node.finding(`requests no ${name}, of which ${object.object} takes its share`));
    }
  }
  return findings;
}

function isTarget(pod: Pod, target: Node): boolean {
  return pod.object.at('kind').text === target.at('kind').text && nameOf(pod.object) === target.at('name').text;
}

function nameOf(object: Node): string | undefined {
  return object.at('metadata', 'name').text;
}

/** A budget that no pod may leave stops every upgrade of a node. */
function checkBudget(object: Node, { documents, pods }: Scope): Finding[] {
  const selector = object.at('spec', 'selector', 'matchLabels');
  const pod = pods.find(({ metadata }) => metadata.given && selects(selector, metadata.at('labels')));
  if (pod === undefined) return [selector.finding('selects no pod')];
  const autoscaler = ofKind(documents, 'autoscaling', 'HorizontalPodAutoscaler').find((one) =>
    isTarget(pod, one.at('spec', 'scaleTargetRef')),
  );
  const replicas = autoscaler?.at('spec', 'minReplicas').number ?? pod.object.at('spec', 'replicas').number ?? 1;
  const available = shareOf(object.at('spec', 'minAvailable'), replicas);
  const unavailable = shareOf(object.at('spec', 'maxUnavailable'), replicas);
  const leave = unavailable ?? (available === undefined ? 1 : replicas - available);
  if (leave >= 1) return [];
  return [object.at('spec').finding(`of ${replicas} pods none may leave: nodes can't be drained`)];
}

/** A number of pods, or percent of them rounded up. */
function shareOf(node: Node, replicas: number): number | undefined {
  const [, percent] = /^(\d+)%$/.exec(node.text ?? '') ?? [];
  return percent === undefined ? node.number : Math.ceil((Number(percent) * replicas) / 100);
}
