import type { Container } from './containers.ts';
import { readPair, type Variable } from './env.ts';
import { DOCKERFILE } from './image.ts';
import { isOurs } from './image-name.ts';
import type { Node } from './node.ts';

/** The services in the files of docker-compose. */
export function findComposeServices(documents: readonly Node[]): Container[] {
  return documents
    .filter((document) => !document.at('apiVersion').given)
    .flatMap((document) => document.at('services').entries.map(([, node]) => readService(node)));
}

function readService(node: Node): Container {
  const image = node.at('image').text;
  const ours =
    node.at('build', 'dockerfile').text === DOCKERFILE || (image !== undefined && isOurs(fillIn(image) ?? image));
  return { platform: 'compose', node, ours, init: false, env: readEnvironment(node.at('environment')) };
}

/** A map, or a list of `NAME=value`. */
function readEnvironment(environment: Node): Variable[] {
  const pairs = environment.items.map((node) => readPair(node.text ?? '', node));
  const named = environment.entries.map(([name, node]): Variable => ({ name, value: node.text, node }));
  return [...pairs, ...named].map((one) => ({
    ...one,
    value: one.value === undefined ? undefined : fillIn(one.value),
  }));
}

/** A value with the defaults of its `${NAME:-default}`s; undefined where one has no default. */
export function fillIn(value: string): string | undefined {
  let open = false;
  const filled = value.replaceAll(/\$\$|\$\{(\w+)(?::?-([^}]*))?[^}]*\}|\$\w+/g, (whole, _name, fallback) => {
    if (whole === '$$') return '$';
    if (fallback === undefined) open = true;
    return fallback ?? '';
  });
  return open ? undefined : filled;
}

/** `512mb`, `1g`: docker-compose's sizes, in bytes. */
export function readBytes(text: string | undefined): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([bkmg]?)b?$/.exec(text?.toLowerCase() ?? '') ?? [];
  return number === undefined
    ? undefined
    : Number(number) * 2 ** (10 * ['', 'k', 'm', 'g'].indexOf(unit === 'b' ? '' : unit));
}

/** `90`, `1m30s`, `500ms`: docker-compose's durations, in milliseconds. */
export function readDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ms|us|h|m|s))+$/.test(text)) return undefined;
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001 };
  const parts = Array.from(text.matchAll(/(\d+(?:\.\d+)?)(ms|us|h|m|s)/g), ([, n, unit]) => Number(n) * units[unit!]!);
  return parts.reduce((sum, part) => sum + part, 0);
}
