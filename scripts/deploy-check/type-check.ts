import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding, Path } from './finding.ts';
import type { Node } from './node.ts';

const MODULES = join(import.meta.dirname, '..', '..', 'node_modules');
const TSC = join(MODULES, 'typescript', 'bin', 'tsc');
/** The codes of "Object literal may only specify known properties", without and with a suggested name. */
const UNKNOWN_FIELD = new Set(['2353', '2561']);

/** An object, and the type with all its possible fields. */
export interface TypedNode {
  readonly node: Node;
  /** In TypeScript's notation: `import('package').Type`. */
  readonly type: string;
  /** Whether only unknown fields are reported: a schema checks missing fields and types then. */
  readonly fieldsOnly: boolean;
}

/**
 * Finds unknown fields with the TypeScript compiler, as validators that are generated from OpenAPI accept them: each object is written
 * as a literal of its type. The compiler reports one unknown field of a map at a time, so the reported ones are removed, and it is run
 * again.
 */
export function findTypeErrors(objects: readonly TypedNode[]): Finding[] {
  if (objects.length === 0) return [];
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'deploy-check-'));
  try {
    symlinkSync(MODULES, join(folder, 'node_modules'), 'junction');
    const findings = new Map<string, Finding>();
    const removed = new Set<string>();
    for (;;) {
      const before = removed.size;
      for (const { at, code, message } of compile(folder, objects, removed)) {
        const { node, fieldsOnly } = objects[at.object]!;
        const unknown = UNKNOWN_FIELD.has(code);
        if (unknown) removed.add(JSON.stringify(at));
        else if (fieldsOnly) continue;
        findings.set(
          JSON.stringify(at) + code,
          node.at(...at.path).finding(unknown ? `unknown field ${at.path.at(-1)}` : message),
        );
      }
      if (removed.size === before) return [...findings.values()];
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Place {
  readonly object: number;
  readonly path: Path;
}

interface CompilerError {
  readonly at: Place;
  readonly code: string;
  readonly message: string;
}

function compile(folder: string, objects: readonly TypedNode[], removed: ReadonlySet<string>): CompilerError[] {
  const lines: string[] = ['type Part<T> = T extends object ? { [K in keyof T]?: Part<T[K]> } : T;'];
  const places: (Place | undefined)[] = [undefined];
  const write = (line: string, place: Place): void => {
    lines.push(line);
    places.push(place);
  };
  for (const [object, { node, type, fieldsOnly }] of objects.entries()) {
    const declared = fieldsOnly ? `Part<${type}>` : type;
    writeLiteral(`export const o${object}: ${declared} = `, node.value, { object, path: [] }, ';');
  }

  /** Each key is on its own line, by which an error is assigned to it. */
  function writeLiteral(before: string, value: unknown, place: Place, after: string): void {
    if (typeof value !== 'object' || value === null) {
      write(`${before}${JSON.stringify(value)}${after}`, place);
      return;
    }
    const list = Array.isArray(value);
    write(`${before}${list ? '[' : '{'}`, place);
    for (const [key, inner] of Object.entries(value)) {
      const at = { object: place.object, path: [...place.path, list ? Number(key) : key] };
      // Directives of kustomize, which are not fields of the object.
      if (removed.has(JSON.stringify(at)) || key.startsWith('$')) continue;
      writeLiteral(list ? '' : `${JSON.stringify(key)}: `, inner, at, ',');
    }
    write(`${list ? ']' : '}'}${after}`, place);
  }

  writeFileSync(join(folder, 'objects.ts'), lines.join('\n'));
  const options = '--ignoreConfig --noEmit --strict --skipLibCheck --pretty false --module nodenext --target es2024';
  const args = [TSC, ...options.split(' '), '--types', '', 'objects.ts'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  const errors = Array.from(
    stdout.matchAll(/^objects\.ts\((\d+),\d+\): error TS(\d+): (.*)$/gm),
    ([, line, code, message]) => {
      const at = places[Number(line) - 1];
      // If a module is not found, its types are `any`, and no field is unknown.
      if (at === undefined || code === '2307') throw new Error(`tsc: ${message}`);
      return { at, code: code!, message: message! };
    },
  );
  if (status !== 0 && errors.length === 0) throw new Error(`tsc: ${stdout}${stderr}`);
  return errors;
}
