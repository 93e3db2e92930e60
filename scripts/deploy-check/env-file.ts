import { Node } from './node.ts';

/** Reads a file of `NAME=value` lines, from which kustomize generates a ConfigMap, as a document like those of YAML. */
export function readEnvFile(file: string, text: string): Node {
  const variables: Record<string, string> = {};
  const lines = new Map<string, number>();
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [name = '', ...value] = line.split('=');
    variables[name] = value.join('=');
    lines.set(name, i + 1);
  }
  const source = { file, lineOf: (path: readonly (string | number)[]) => lines.get(String(path.at(-1))) ?? 1 };
  return new Node(source, [], { envFile: file, variables });
}
