import { readEnv, type Variable } from './env.ts';
import { isOurs } from './image-name.ts';
import type { Node } from './node.ts';

type Platform = 'kubernetes' | 'cloud-run' | 'compose';

export interface Container {
  readonly platform: Platform;
  readonly node: Node;
  /** Whether it runs our image. */
  readonly ours: boolean;
  /** Whether it is an init container, which ends before the others start. */
  readonly init: boolean;
  readonly env: readonly Variable[];
}

export interface Pod {
  readonly platform: 'kubernetes' | 'cloud-run';
  /** The object of the pod. */
  readonly object: Node;
  readonly metadata: Node;
  readonly spec: Node;
  readonly containers: readonly Container[];
}

/** The path of the pod in an object of the kind, as keys. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
  Pod: [],
};

const KNATIVE = 'serving.knative.dev/v1';

/** All pods of Kubernetes and revisions of Cloud Run, and their patches. */
export function readPods(documents: readonly Node[]): Pod[] {
  const names = namesOfOurs(documents);
  return documents.flatMap((object): Pod[] => {
    const template = templateOf(object);
    if (template === undefined) return [];
    const platform = object.at('apiVersion').text === KNATIVE ? 'cloud-run' : 'kubernetes';
    const spec = template.at('spec');
    const read = (node: Node, init: boolean): Container => {
      const image = node.at('image').text;
      // A patch names its container, and does not change the image.
      const ours = image === undefined ? names.has(node.at('name').text ?? '') : isOurs(image);
      return { platform, node, ours, init, env: readEnv(node, documents) };
    };
    const containers = [
      ...spec.at('initContainers').items.map((node) => read(node, node.at('restartPolicy').text !== 'Always')),
      ...spec.at('containers').items.map((node) => read(node, false)),
    ];
    return [{ platform, object, metadata: template.at('metadata'), spec, containers }];
  });
}

function templateOf(object: Node): Node | undefined {
  const kind = object.at('kind').text ?? '';
  if (object.at('apiVersion').text === KNATIVE) return kind === 'Service' ? object.at('spec', 'template') : undefined;
  const path = TEMPLATES[kind];
  return path === undefined ? undefined : object.at(...path);
}

function namesOfOurs(documents: readonly Node[]): Set<string> {
  const names = new Set<string>();
  for (const object of documents) {
    for (const container of templateOf(object)?.at('spec', 'containers').items ?? []) {
      if (isOurs(container.at('image').text ?? '')) names.add(container.at('name').text ?? '');
    }
  }
  return names;
}
