import { KNATIVE, type Rule } from '../containers.ts';
import type { Finding, Node } from '../yaml.ts';

/**
 * Annotations and the one resource that takes each: the description of `ObjectMeta.annotations` in Cloud Run's API v1. Both take
 * minScale and maxScale, under other names.
 */
const ANNOTATIONS: Readonly<Record<string, 'Service' | 'Revision'>> = {
  'autoscaling.knative.dev/maxScale': 'Revision',
  'autoscaling.knative.dev/minScale': 'Revision',
  'run.googleapis.com/container-dependencies': 'Revision',
  'run.googleapis.com/cpu-throttling': 'Revision',
  'run.googleapis.com/execution-environment': 'Revision',
  'run.googleapis.com/gpu-zonal-redundancy-disabled': 'Revision',
  'run.googleapis.com/ingress': 'Service',
  'run.googleapis.com/invoker-iam-disabled': 'Service',
  'run.googleapis.com/maxScale': 'Service',
  'run.googleapis.com/minScale': 'Service',
  'run.googleapis.com/network-interfaces': 'Revision',
  'run.googleapis.com/sessionAffinity': 'Revision',
  'run.googleapis.com/startup-cpu-boost': 'Revision',
  'run.googleapis.com/vpc-access-egress': 'Revision',
};
const INGRESS = ['all', 'internal', 'internal-and-cloud-load-balancing'];
/** https://cloud.google.com/run/docs/configuring/healthchecks: the product of failureThreshold and periodSeconds. */
const STARTUP_SECONDS = 240;
const LIVENESS_SECONDS = 3600;
/** The defaults of a probe. */
const PROBE = { periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3 };
const MOST_CONCURRENCY = 1000;
const MOST_TIMEOUT_SECONDS = 3600;
/** https://cloud.google.com/run/docs/configuring/services/memory-limits: the least memory in GiB of so many CPUs, and the most. */
const MEMORY: Readonly<Record<number, readonly [least: number, most: number]>> = {
  1: [0.5, 4],
  2: [0.5, 8],
  4: [2, 16],
  6: [4, 24],
  8: [4, 32],
};
/** https://cloud.google.com/run/docs/configuring/services/gpu */
const GPU = { cpu: 4, memory: 16 };

/** Rule: a service keeps the limits of Cloud Run, which gcloud does not check before the deployment. */
export const checkCloudRunLimits: Rule = ({ documents }) =>
  documents
    .filter((object) => object.at('apiVersion').text === KNATIVE)
    .flatMap((service) => [...checkMetadata(service), ...checkRevision(service.at('spec', 'template'))]);

function checkMetadata(service: Node): Finding[] {
  const own = service.at('metadata');
  const template = service.at('spec', 'template', 'metadata');
  const ingress = own.at('annotations', 'run.googleapis.com/ingress');
  return [
    ...checkAnnotations(own, 'Service'),
    ...checkAnnotations(template, 'Revision'),
    ...[own, template].flatMap((metadata) => checkLabels(metadata.at('labels'))),
    ...(ingress.given && !INGRESS.includes(ingress.text ?? '')
      ? [ingress.finding(`${ingress.text}, expected ${INGRESS.join(', ')}`)]
      : []),
  ];
}

function checkAnnotations(metadata: Node, of: 'Service' | 'Revision'): Finding[] {
  return metadata
    .at('annotations')
    .entries.filter(([name]) => ANNOTATIONS[name] !== of)
    .map(([name, node]) =>
      node.finding(
        ANNOTATIONS[name] === undefined
          ? `${name} is no annotation that is known here`
          : `is of a ${ANNOTATIONS[name]}: a ${of} does not take it`,
      ),
    );
}

/** Labels of Google Cloud, which are stricter than those of Kubernetes. */
function checkLabels(labels: Node): Finding[] {
  return labels.entries
    .filter(([name, { text }]) => !/^[a-z][a-z0-9_-]{0,62}$/.test(name) || !/^[a-z0-9_-]{0,63}$/.test(text ?? ''))
    .map(([name, node]) => node.finding(`${name}=${node.text}: labels have lower case letters, digits, _ and - alone`));
}

function checkRevision(template: Node): Finding[] {
  const annotation = (name: string): Node => template.at('metadata', 'annotations', `run.googleapis.com/${name}`);
  const spec = template.at('spec');
  const atMost = (node: Node, most: number): Finding[] =>
    node.given && !(node.number! >= 1 && node.number! <= most)
      ? [node.finding(`${node.text}, expected 1 to ${most}`)]
      : [];
  const fuse = spec.at('volumes').items.filter((one) => one.at('csi', 'driver').text === 'gcsfuse.run.googleapis.com');
  const gen2 = annotation('execution-environment').text === 'gen2';
  return [
    ...atMost(spec.at('containerConcurrency'), MOST_CONCURRENCY),
    ...atMost(spec.at('timeoutSeconds'), MOST_TIMEOUT_SECONDS),
    ...(gen2 ? [] : fuse.map((volume) => volume.finding('Cloud Storage FUSE needs execution-environment gen2'))),
    ...spec.at('containers').items.flatMap((container) => {
      const limits = container.at('resources', 'limits');
      return [
        ...checkProbe(container.at('startupProbe'), STARTUP_SECONDS),
        ...checkProbe(container.at('livenessProbe'), LIVENESS_SECONDS),
        ...checkResources(limits, spec.at('containerConcurrency')),
        ...(limits.at('nvidia.com/gpu').given ? checkGpu(limits, spec, annotation('cpu-throttling')) : []),
      ];
    }),
  ];
}

function checkProbe(probe: Node, most: number): Finding[] {
  if (!probe.given) return [];
  const value = (key: keyof typeof PROBE): number => probe.at(key).number ?? PROBE[key];
  const [period, timeout] = [value('periodSeconds'), value('timeoutSeconds')];
  const budget = most === STARTUP_SECONDS ? period * value('failureThreshold') : period;
  return [
    ...(budget > most ? [probe.finding(`${budget} s, but Cloud Run takes at most ${most} s`)] : []),
    ...(timeout > period ? [probe.finding(`timeoutSeconds ${timeout} is more than periodSeconds ${period}`)] : []),
  ];
}

function checkResources(limits: Node, concurrency: Node): Finding[] {
  const [cpu, memory] = [limits.at('cpu'), limits.at('memory')];
  const cpus = readCpu(cpu);
  if (cpus === undefined) return [];
  if (cpus < 1)
    return concurrency.number === 1 ? [] : [cpu.finding(`${cpu.text}: less than one CPU takes one request at a time`)];
  const [least, most] = MEMORY[cpus] ?? [];
  if (least === undefined || most === undefined)
    return [cpu.finding(`${cpu.text} CPUs, expected ${Object.keys(MEMORY).join(', ')}`)];
  const size = readGiB(memory);
  if (size === undefined || (size >= least && size <= most)) return [];
  return [memory.finding(`${memory.text} with ${cpu.text} CPUs, expected ${least}Gi to ${most}Gi`)];
}

function checkGpu(limits: Node, spec: Node, throttling: Node): Finding[] {
  return [
    ...((readCpu(limits.at('cpu')) ?? 0) < GPU.cpu ? [limits.finding(`a GPU needs ${GPU.cpu} CPUs`)] : []),
    ...((readGiB(limits.at('memory')) ?? 0) < GPU.memory ? [limits.finding(`a GPU needs ${GPU.memory}Gi`)] : []),
    ...(spec.at('nodeSelector', 'run.googleapis.com/accelerator').given
      ? []
      : [spec.finding('a GPU needs nodeSelector run.googleapis.com/accelerator')]),
    ...(throttling.text === 'false' ? [] : [throttling.finding("a GPU needs cpu-throttling: 'false'")]),
  ];
}

function readCpu({ text = '' }: Node): number | undefined {
  const [, number, milli] = /^(\d+(?:\.\d+)?)(m?)$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) / (milli === 'm' ? 1000 : 1);
}

function readGiB({ text = '' }: Node): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(Mi|Gi)$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) / (unit === 'Mi' ? 1024 : 1);
}
