import { posix } from 'node:path';
import type { Node } from './node.ts';

/** A variable that a container is started with. */
export interface Variable {
  readonly name: string;
  /** Undefined where it comes from a secret, from the caller's environment, or from another variable. */
  readonly value: string | undefined;
  readonly node: Node;
}

/**
 * A pod's container: its `env`, and the ConfigMaps of its `envFrom`. Of files as they are written, all that make the
 * ConfigMap are there, one after the other; which of them counts is known only of what is built.
 */
export function readEnv(container: Node, documents: readonly Node[]): Variable[] {
  const own = container.at('env').items.map((node): Variable => {
    const reference = node.at('valueFrom', 'configMapKeyRef');
    const held = readConfigMap(reference.at('name').text, documents).find(
      ({ name }) => name === reference.at('key').text,
    );
    const text = node.at('value').text ?? held?.value;
    return { name: node.at('name').text ?? '', value: text?.includes('$(') ? undefined : text, node };
  });
  const names = new Set(own.map(({ name }) => name));
  const from = container
    .at('envFrom')
    .items.flatMap((node) => readConfigMap(node.at('configMapRef', 'name').text, documents))
    .filter(({ name }) => !names.has(name));
  return [...own, ...from];
}

/** The data of a ConfigMap, which is an object, or what kustomizations make one of. */
function readConfigMap(name: string | undefined, documents: readonly Node[]): Variable[] {
  if (name === undefined) return [];
  return documents.flatMap((document): Variable[] => {
    if (document.at('kind').text === 'ConfigMap')
      return document.at('metadata', 'name').text === name ? variablesOf(document.at('data')) : [];
    const generators = document.at('configMapGenerator').items.filter((one) => one.at('name').text === name);
    return generators.flatMap((generator) => [
      ...generator.at('literals').items.map((node) => readPair(node.text ?? '', node)),
      ...generator.at('envs').items.flatMap((file) => readFile(file, documents)),
    ]);
  });
}

function readFile(file: Node, documents: readonly Node[]): Variable[] {
  const path = posix.join(posix.dirname(file.source.file), file.text ?? '');
  return documents
    .filter((document) => document.at('envFile').text === path)
    .flatMap((document) => variablesOf(document.at('variables')));
}

function variablesOf(map: Node): Variable[] {
  return map.entries.map(([name, node]) => ({ name, value: node.text, node }));
}

/** `NAME=value`; without a value it is the caller's. */
export function readPair(text: string, node: Node): Variable {
  const cut = text.indexOf('=');
  if (cut === -1) return { name: text, value: undefined, node };
  return { name: text.slice(0, cut), value: text.slice(cut + 1), node };
}
