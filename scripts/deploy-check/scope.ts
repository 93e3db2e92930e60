import { findComposeServices } from './compose.ts';
import { type Container, type Pod, readPods } from './containers.ts';
import type { Finding } from './finding.ts';
import type { Image } from './image.ts';
import type { Node } from './node.ts';

/** Documents that are checked together: all files as they are written, or the objects of one build of kustomize. */
export interface Scope {
  readonly image: Image;
  /** Whether all objects are there and complete: patches are applied, and an object that is not found is missing. */
  readonly built: boolean;
  /** Whether it is the build of an overlay, which is deployed to a cluster. */
  readonly deployed: boolean;
  readonly documents: readonly Node[];
  readonly pods: readonly Pod[];
  readonly services: readonly Node[];
  /** All of the documents' containers, those of pods and those of docker-compose. */
  readonly containers: readonly Container[];
}

/** Finds faults in a scope. Each rule has its own file. */
export type Rule = (scope: Scope) => Finding[];

export function createScope(documents: readonly Node[], image: Image, of: 'files' | 'build' | 'overlay'): Scope {
  const pods = readPods(documents);
  const services = documents.filter((document) => isKind(document, 'v1', 'Service'));
  const containers = [...pods.flatMap((pod) => pod.containers), ...findComposeServices(documents)];
  return { image, built: of !== 'files', deployed: of === 'overlay', documents, pods, services, containers };
}

/** The documents of this kind; `group` is the API version, or its part before the slash. */
export function ofKind(documents: readonly Node[], group: string, kind: string): Node[] {
  return documents.filter((document) => isKind(document, group, kind));
}

function isKind(document: Node, group: string, kind: string): boolean {
  const version = document.at('apiVersion').text ?? '';
  return document.at('kind').text === kind && (version === group || version.startsWith(`${group}/`));
}

/** Whether a map of labels has all labels of a selector. An empty selector selects everything. */
export function selects(matchLabels: Node, labels: Node): boolean {
  return matchLabels.entries.every(([name, wanted]) => labels.at(name).text === wanted.text);
}
