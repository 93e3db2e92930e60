import { SETTINGS } from '../../../functions/config/settings.ts';
import { findUnknownAnnotations } from '../cloud-run-annotations.ts';
import type { Container, Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import { readQuantity } from '../quantity.ts';
import type { Rule } from '../scope.ts';

const GI = 2 ** 30;
const CPU_THROTTLING = 'run.googleapis.com/cpu-throttling';
const ENVIRONMENT = 'run.googleapis.com/execution-environment';
const ACCELERATOR = 'run.googleapis.com/accelerator';

/** Memory of these CPUs, least and most: https://docs.cloud.google.com/run/docs/configuring/services/cpu */
const MEMORY: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [1, [0, 4 * GI]],
  [2, [0, 8 * GI]],
  [4, [2 * GI, 16 * GI]],
  [6, [4 * GI, 24 * GI]],
  [8, [4 * GI, 32 * GI]],
]);
/** What a GPU needs beside it: https://docs.cloud.google.com/run/docs/configuring/services/gpu */
const GPUS: Readonly<Record<string, readonly [cpus: number, memory: number]>> = { 'nvidia-l4': [4, 16 * GI] };

/** What Cloud Run takes beyond the fields of its API. */
export const checkCloudRun: Rule = ({ pods }) =>
  pods.filter(({ platform }) => platform === 'cloud-run').flatMap(checkRevision);

function checkRevision(pod: Pod): Finding[] {
  const { object, metadata, spec, containers } = pod;
  const findings: Finding[] = [
    ...findUnknownAnnotations(object.at('metadata', 'annotations'), 'Service'),
    ...findUnknownAnnotations(metadata.at('annotations'), 'Revision'),
    ...between(spec.at('containerConcurrency'), 0, 1000),
    ...between(spec.at('timeoutSeconds'), 1, 3600),
    ...checkScale(object.at('metadata', 'annotations'), 'run.googleapis.com'),
    ...checkScale(metadata.at('annotations'), 'autoscaling.knative.dev'),
    ...checkContainers(pod),
    ...containers.flatMap((container) => checkContainer(container, pod)),
  ];
  if (object.at('metadata', 'namespace').given)
    findings.push(object.at('metadata', 'namespace').finding('names a project: gcloud takes the one it is set to'));
  return findings;
}

function between(node: Node, least: number, most: number): Finding[] {
  if (!node.given || (node.number !== undefined && node.number >= least && node.number <= most)) return [];
  return [node.finding(`${node.text}, expected ${least} to ${most}`)];
}

function checkScale(annotations: Node, prefix: string): Finding[] {
  const least = annotations.at(`${prefix}/minScale`);
  const most = annotations.at(`${prefix}/maxScale`);
  const findings = [least, most].filter((one) => one.given && !/^\d+$/.test(one.text ?? ''));
  if ((least.number ?? 0) > (most.number ?? Infinity))
    return [least.finding(`minScale ${least.text}, above maxScale ${most.text}`)];
  return findings.map((one) => one.finding(`${one.text} is no number of instances`));
}

/** One container takes the requests, and others start after those that are there. */
function checkContainers({ metadata, containers, spec }: Pod): Finding[] {
  const findings: Finding[] = [];
  const entrances = containers.filter(({ node }) => node.at('ports').given);
  if (entrances.length !== 1)
    findings.push(
      spec
        .at('containers')
        .finding(`${entrances.length} containers have ports, expected one: the one that is sent requests`),
    );
  if (entrances.some(({ ours }) => !ours))
    findings.push(entrances[0]!.node.finding('is sent the requests, but does not run our image'));
  const order = metadata.at('annotations', 'run.googleapis.com/container-dependencies');
  if (!order.given) return findings;
  const names = new Set(containers.map(({ node }) => node.at('name').text));
  for (const name of namesIn(order)) {
    if (!names.has(name)) findings.push(order.finding(`there is no container ${name}`));
    const waited = containers.find(({ node }) => node.at('name').text === name)?.node;
    const last = dependenciesOf(order).has(name);
    if (last && waited !== undefined && !waited.at('startupProbe').given)
      findings.push(waited.finding('others wait for it, which takes a startupProbe'));
  }
  return findings;
}

function readOrder(node: Node): Record<string, string[]> {
  try {
    return JSON.parse(node.text ?? '') as Record<string, string[]>;
  } catch {
    return { [`of ${node.text}`]: [] };
  }
}

function namesIn(node: Node): Set<string> {
  return new Set(Object.entries(readOrder(node)).flat(2));
}

function dependenciesOf(node: Node): Set<string> {
  return new Set(Object.values(readOrder(node)).flat());
}

function checkContainer({ node, ours, env }: Container, pod: Pod): Finding[] {
  const findings = [...checkProbe(node.at('startupProbe'), 240), ...checkProbe(node.at('livenessProbe'), Infinity)];
  if (!ours) return findings;
  findings.push(...checkResources(node.at('resources', 'limits'), pod));
  const timeout = pod.spec.at('timeoutSeconds').number ?? 300;
  const own = Number(
    env.find(({ name }) => name === 'REQUEST_TIMEOUT_MS')?.value ?? SETTINGS.REQUEST_TIMEOUT_MS.default,
  );
  if (own > timeout * 1000)
    findings.push(
      pod.spec.at('timeoutSeconds').finding(`${timeout} s, but the server answers a request until ${own} ms`),
    );
  return findings;
}

function checkProbe(probe: Node, seconds: number): Finding[] {
  if (!probe.given) return [];
  const period = probe.at('periodSeconds').number ?? 10;
  const timeout = probe.at('timeoutSeconds').number ?? 1;
  const whole = period * (probe.at('failureThreshold').number ?? 3);
  const findings: Finding[] = [];
  if (whole > seconds) findings.push(probe.finding(`fails after ${whole} s: Cloud Run takes ${seconds} s at most`));
  if (timeout > period)
    findings.push(probe.finding(`waits ${timeout} s for an answer, and asks again after ${period} s`));
  if ((probe.at('successThreshold').number ?? 1) !== 1)
    findings.push(probe.at('successThreshold').finding('expected 1'));
  return findings;
}

function checkResources(limits: Node, { metadata, spec }: Pod): Finding[] {
  const cpus = readQuantity(limits.at('cpu').text ?? '1') ?? Number.NaN;
  const memory = readQuantity(limits.at('memory').text ?? '512Mi') ?? Number.NaN;
  const annotation = (name: string): string | undefined => metadata.at('annotations', name).text;
  const findings: Finding[] = [];
  if (cpus < 1) {
    if (spec.at('containerConcurrency').number !== 1)
      findings.push(limits.at('cpu').finding('less than a CPU takes containerConcurrency: 1'));
    if (annotation(CPU_THROTTLING) === 'false')
      findings.push(limits.at('cpu').finding('less than a CPU has it in requests only'));
    if (annotation(ENVIRONMENT) === 'gen2')
      findings.push(limits.at('cpu').finding('less than a CPU runs in gen1 only'));
  } else {
    const range = MEMORY.get(cpus);
    if (range === undefined)
      findings.push(limits.at('cpu').finding(`${limits.at('cpu').text}, expected ${[...MEMORY.keys()].join(', ')}`));
    else if (!(memory >= range[0] && memory <= range[1]))
      findings.push(
        limits
          .at('memory')
          .finding(`${limits.at('memory').text}, but ${cpus} CPUs take ${range[0] / GI}Gi to ${range[1] / GI}Gi`),
      );
  }
  return [...findings, ...checkGpu(limits, cpus, memory, spec, annotation)];
}

function checkGpu(
  limits: Node,
  cpus: number,
  memory: number,
  spec: Node,
  annotation: (name: string) => string | undefined,
): Finding[] {
  const gpu = limits.at('nvidia.com/gpu');
  const kind = spec.at('nodeSelector', ACCELERATOR);
  if (!gpu.given && !kind.given) return [];
  const needs = GPUS[kind.text ?? ''];
  if (needs === undefined)
    return [spec.at('nodeSelector').finding(`${ACCELERATOR} ${kind.text}, expected ${Object.keys(GPUS).join(', ')}`)];
  const findings: Finding[] = [];
  if (gpu.text !== '1') findings.push(limits.finding(`nvidia.com/gpu ${gpu.text}, expected 1`));
  if (cpus < needs[0])
    findings.push(limits.at('cpu').finding(`${cpus}, but an ${kind.text} takes ${needs[0]} or more`));
  if (memory < needs[1])
    findings.push(limits.at('memory').finding(`below the ${needs[1] / GI}Gi that an ${kind.text} takes`));
  if (annotation(CPU_THROTTLING) !== 'false') findings.push(gpu.finding(`a GPU takes ${CPU_THROTTLING}: 'false'`));
  if (annotation(ENVIRONMENT) === 'gen1') findings.push(gpu.finding('a GPU takes gen2'));
  return findings;
}
