import { DOCKERFILE, type Image, isOurs } from './image.ts';
import type { Finding, Node } from './yaml.ts';

/** Objects that are checked together: all files outside of k8s/, or the objects of one build by kustomize. */
export interface Scope {
  readonly image: Image;
  readonly documents: readonly Node[];
  readonly pods: readonly Pod[];
  /** The containers of pods, and the services of docker-compose. */
  readonly containers: readonly Container[];
  /** Whether it is the build of an overlay, which is deployed to a cluster. */
  readonly deployed: boolean;
  /** The objects of builds that may run beside this one, whose Gateway it may use. */
  readonly others: readonly Node[];
}

/** Finds faults in a scope. */
export type Rule = (scope: Scope) => Finding[];

export interface Container {
  readonly platform: 'kubernetes' | 'cloud-run' | 'compose';
  readonly node: Node;
  /** Whether it runs our image. */
  readonly ours: boolean;
  /** Whether it is an init container, which ends before the others start. */
  readonly init: boolean;
  readonly env: readonly Variable[];
}

/** An environment variable of a container. */
export interface Variable {
  readonly name: string;
  /** Undefined if it is from a secret, the caller's environment, or another variable. */
  readonly value: string | undefined;
  readonly node: Node;
}

/** A pod of Kubernetes, or a revision of Cloud Run. */
export interface Pod {
  readonly platform: 'kubernetes' | 'cloud-run';
  /** The Deployment, or another object that makes the pod. */
  readonly owner: Node;
  readonly labels: Node;
  readonly spec: Node;
  readonly containers: readonly Container[];
}

/** Cloud Run's Service has the `apiVersion` of Knative. */
export const KNATIVE = 'serving.knative.dev/v1';

export function createScope(
  documents: readonly Node[],
  image: Image,
  { deployed = false, others = [] }: Partial<Pick<Scope, 'deployed' | 'others'>> = {},
): Scope {
  const pods = documents.flatMap((object) => readPod(object, documents));
  const containers = [...pods.flatMap((pod) => pod.containers), ...documents.flatMap(readCompose)];
  return { image, documents, pods, containers, deployed, others };
}

/** The objects of a kind. */
export function ofKind(documents: readonly Node[], kind: string): Node[] {
  return documents.filter((object) => object.at('kind').text === kind && object.at('apiVersion').text !== KNATIVE);
}

/** The value of a setting in a container, as the server reads it: an empty one is not set. */
export function settingOf({ env }: Container, setting: string): string | undefined {
  return env.find(({ name }) => name === setting)?.value?.trim() || undefined;
}

/** Whether a map of labels has all labels of a selector. An empty selector selects everything. */
export function selects(matchLabels: Node, labels: Node): boolean {
  return matchLabels.entries.every(([name, wanted]) => labels.at(name).text === wanted.text);
}

function readPod(object: Node, documents: readonly Node[]): Pod[] {
  const template = [['spec', 'template'], ['spec', 'jobTemplate', 'spec', 'template'], []]
    .map((path) => object.at(...path))
    .find((one) => one.at('spec', 'containers').given);
  if (template === undefined) return [];
  const platform = object.at('apiVersion').text === KNATIVE ? 'cloud-run' : 'kubernetes';
  const spec = template.at('spec');
  const read = (node: Node, init: boolean): Container => {
    const ours = isOurs(node.at('image').text ?? '');
    return { platform, node, ours, init, env: readEnv(node, documents) };
  };
  const containers = [
    ...spec.at('initContainers').items.map((node) => read(node, node.at('restartPolicy').text !== 'Always')),
    ...spec.at('containers').items.map((node) => read(node, false)),
  ];
  return [{ platform, owner: object, labels: template.at('metadata', 'labels'), spec, containers }];
}

/** The variables of a pod's container: its `env`, and the ConfigMaps of its `envFrom`. */
function readEnv(container: Node, documents: readonly Node[]): Variable[] {
  const mapOf = (reference: Node): Node | undefined =>
    documents.find((one) => one.object === `ConfigMap/${reference.at('name').text}`)?.at('data');
  const own = container.at('env').items.map((node): Variable => {
    const reference = node.at('valueFrom', 'configMapKeyRef');
    const text = node.at('value').text ?? mapOf(reference)?.at(reference.at('key').text ?? '').text;
    return { name: node.at('name').text ?? '', value: text?.includes('$(') ? undefined : text, node };
  });
  const from = container
    .at('envFrom')
    .items.flatMap((node) => mapOf(node.at('configMapRef'))?.entries ?? [])
    .filter(([name]) => !own.some((one) => one.name === name))
    .map(([name, node]): Variable => ({ name, value: node.text, node }));
  return [...own, ...from];
}

/** The services of a docker-compose file. */
function readCompose(document: Node): Container[] {
  if (document.at('apiVersion').given) return [];
  return document.at('services').entries.map(([, node]) => {
    const ours = isOurs(fillIn(node.at('image').text) ?? '') || node.at('build', 'dockerfile').text === DOCKERFILE;
    const environment = node.at('environment');
    const listed = environment.items.map((item): Variable => {
      const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(item.text ?? '') ?? [];
      return { name, value: value === undefined ? undefined : fillIn(value), node: item };
    });
    const mapped = environment.entries.map(([name, one]): Variable => ({ name, value: fillIn(one.text), node: one }));
    return { platform: 'compose', node, ours, init: false, env: [...listed, ...mapped] };
  });
}

/** A value of docker-compose with the defaults of its `${NAME:-default}`s; undefined if one has no default. */
function fillIn(value: string | undefined): string | undefined {
  const filled = value?.replaceAll(/\$\{\w+:?-([^}]*)\}/g, '$1');
  return filled?.includes('$') ? undefined : filled;
}
