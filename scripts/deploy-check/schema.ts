import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KNATIVE } from './containers.ts';
import type { Finding, Node } from './yaml.ts';

const MODULES = join(import.meta.dirname, '..', '..', 'node_modules');
const TSC = join(MODULES, 'typescript', 'bin', 'tsc');
const OPTIONS = '--ignoreConfig --noEmit --strict --skipLibCheck --pretty false --module nodenext --target es2024';
/** The codes of "Object literal may only specify known properties", without and with a suggested name. */
const UNKNOWN_FIELD = new Set(['2353', '2561']);
/** The code of "Cannot find module". */
const NO_MODULE = '2307';

/** The TypeScript type of an object, from a package that is generated from the API's schema; undefined for files of other kinds. */
function typeOf(object: Node): string | undefined {
  const version = object.at('apiVersion').text ?? '';
  const kind = object.at('kind').text ?? '';
  if (object.at('steps').given && version === '') return "import('@googleapis/cloudbuild').cloudbuild_v1.Schema$Build";
  if (version === KNATIVE) return "import('@googleapis/run').run_v1.Schema$Service";
  // Managed Prometheus publishes only a CustomResourceDefinition, for which no package has types. kustomize checks its own kinds.
  if (version === '' || /^(monitoring\.googleapis\.com|kustomize\.config\.k8s\.io)\//.test(version)) return undefined;
  const gke = /^(networking\.gke\.io|cloud\.google\.com)\//.test(version);
  const gateway = version.startsWith('gateway.networking.k8s.io/');
  const name = gke ? '@kubernetes-models/gke' : gateway ? '@kubernetes-models/gateway-api' : 'kubernetes-models';
  return `import('${name}/${version}/${kind}').I${kind}`;
}

/**
 * Checks objects by the schemas of their APIs, with the TypeScript compiler: each object is written as a literal of its type. The
 * compiler reports one unknown field of a map at a time, so the reported ones are removed, and it is run again.
 */
export function checkSchemas(objects: readonly Node[]): Finding[] {
  const typed = objects.map((node) => ({ node, type: typeOf(node) })).filter(({ type }) => type !== undefined);
  if (typed.length === 0) return [];
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'deploy-check-'));
  try {
    symlinkSync(MODULES, join(folder, 'node_modules'), 'junction');
    const removed = new Set<string>();
    const findings = new Map<string, Finding>();
    for (;;) {
      const before = removed.size;
      for (const { node, key, code, message } of compile(folder, typed, removed)) {
        const unknown = UNKNOWN_FIELD.has(code);
        if (unknown) removed.add(key);
        const { apiVersion, kind } = (node.value ?? {}) as { apiVersion?: string; kind?: string };
        const other = code === NO_MODULE ? `${apiVersion} ${kind}: there is no schema of it here` : message;
        findings.set(key + code, node.finding(unknown ? `unknown field ${node.path.at(-1)}` : other));
      }
      if (removed.size === before) return [...findings.values()];
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compile(
  folder: string,
  objects: readonly { node: Node; type: string | undefined }[],
  removed: ReadonlySet<string>,
) {
  const lines: string[] = [];
  const places: { node: Node; key: string }[] = [];
  for (const [i, { node, type }] of objects.entries()) write(node, `${i}`, `export const o${i}: ${type} = `, ';');

  /** Each key is on its own line, by which an error is assigned to it. */
  function write(node: Node, key: string, before: string, after: string): void {
    const add = (line: string) => places.push({ node, key }) && lines.push(line);
    const { value, items } = node;
    if (typeof value !== 'object' || value === null) return void add(`${before}${JSON.stringify(value)}${after}`);
    const list = Array.isArray(value);
    add(before + (list ? '[' : '{'));
    for (const inner of list ? items : node.entries.map(([, one]) => one)) {
      const name = inner.path.at(-1);
      if (removed.has(`${key} ${name}`)) continue;
      write(inner, `${key} ${name}`, list ? '' : `${JSON.stringify(name)}: `, ',');
    }
    add((list ? ']' : '}') + after);
  }

  writeFileSync(join(folder, 'objects.ts'), lines.join('\n'));
  const args = [TSC, ...OPTIONS.split(' '), '--types', '', 'objects.ts'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  const errors = Array.from(stdout.matchAll(/^objects\.ts\((\d+),\d+\): error TS(\d+): (.*)$/gm), (match) => {
    const [, line, code, message] = match as unknown as [string, string, string, string];
    return { ...places[Number(line) - 1]!, code, message };
  });
  if (status !== 0 && errors.length === 0) throw new Error(`tsc: ${stdout}${stderr}`);
  return errors;
}
