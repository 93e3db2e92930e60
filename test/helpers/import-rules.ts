import { posix } from 'node:path';

/** One source's import of another file (a path from the root) or of a package (a bare name). */
interface Import {
  readonly to: string;
  readonly typeOnly: boolean;
}

export interface Rules {
  /** Rooms and files of the root folder, top first. A file may import its own room and what stands further down. */
  readonly order: readonly (readonly string[])[];
  /** Rooms that import nothing of ours. */
  readonly alone: readonly string[];
  /** Packages, each with the files that may import it. */
  readonly packages: Readonly<Record<string, readonly string[]>>;
  /** Files that may read or write `process.env`, each with the only text that may follow it; '' for any. */
  readonly env: Readonly<Record<string, string>>;
  readonly maxLines: number;
  /** Written by a program: their length is not ours. */
  readonly generated: readonly string[];
}

/**
 * Checks sources against the rules of the house.
 * @param sources path from `functions/` -> text.
 * @returns a line for each breach, with the file and what is wrong; empty where there is none.
 */
export function findBreaches(sources: ReadonlyMap<string, string>, rules: Rules): string[] {
  const breaches: string[] = [];
  const graph = new Map<string, Import[]>();
  for (const [path, text] of sources) {
    const code = withoutComments(text);
    const imports = importsOf(path, code);
    graph.set(path, imports);
    const lines = text.trimEnd().split('\n').length;
    if (lines > rules.maxLines && !rules.generated.includes(path))
      breaches.push(`${path}: ${lines} lines, ${rules.maxLines} at most`);
    if (rankOf(path, rules) === -1) breaches.push(`${path}: its room is not in the list of rooms`);
    for (const { to } of imports) {
      const breach = sources.has(to) ? checkOwn(path, to, rules) : checkForeign(path, to, rules);
      if (breach !== undefined) breaches.push(`${path}: ${breach}`);
    }
    breaches.push(...checkEnv(path, code, rules));
  }
  const valueCycles = findCycles(graph, ({ typeOnly }) => !typeOnly);
  for (const cycle of valueCycles) breaches.push(`import cycle: ${cycle}`);
  for (const cycle of findCycles(graph, () => true)) {
    if (!valueCycles.includes(cycle)) breaches.push(`cycle of type imports: ${cycle}`);
  }
  return breaches;
}

const STATEMENT = /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s*)?['"]([^'"]+)['"]/gm;
const EXPRESSION = /(\btypeof\s+)?\bimport\(\s*['"`]([^'"`]+)['"`]/g;

function importsOf(path: string, code: string): Import[] {
  return [...code.matchAll(STATEMENT), ...code.matchAll(EXPRESSION)].map(([, typeOnly, name]) => ({
    to: name!.startsWith('.') ? posix.join(posix.dirname(path), name!) : name!,
    typeOnly: typeOnly !== undefined,
  }));
}

/** Comments become spaces, so that words in them are not taken for code; strings stay as they are. */
function withoutComments(text: string): string {
  const parts = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/.*/g;
  return text.replace(parts, (part) => (part.startsWith('/') ? ' ' : part));
}

function checkOwn(from: string, to: string, rules: Rules): string | undefined {
  if (rules.alone.includes(roomOf(from)) && roomOf(from) !== roomOf(to))
    return `imports ${to}: ${roomOf(from)} imports nothing of ours`;
  if (roomOf(from) === roomOf(to) || rankOf(to, rules) === -1) return undefined;
  if (rankOf(from, rules) > rankOf(to, rules)) return `imports ${to}, up the list of rooms`;
  return undefined;
}

function checkForeign(from: string, to: string, rules: Rules): string | undefined {
  if (to.startsWith('node:')) return undefined;
  if (to.endsWith('.ts') && !to.startsWith('@')) return `imports ${to}, which is not there`;
  const name = to
    .split('/')
    .slice(0, to.startsWith('@') ? 2 : 1)
    .join('/');
  const allowed = rules.packages[name];
  if (allowed === undefined) return `imports the package ${name}, which is not in the list`;
  return allowed.includes(from) ? undefined : `imports ${name}, which is for ${allowed.join(', ')} alone`;
}

function checkEnv(path: string, code: string, { env }: Rules): string[] {
  const mentions = code.matchAll(/\bprocess\s*(?:\?\.|\.)\s*env\b(.*)|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/g);
  return [...mentions].flatMap(([, rest = '']) => {
    const allowed = env[path];
    return allowed !== undefined && rest.startsWith(allowed)
      ? []
      : [`${path}: uses process.env, which is for config.ts alone`];
  });
}

function roomOf(path: string): string {
  return path.split('/')[0]!;
}

function rankOf(path: string, { order, alone }: Rules): number {
  if (alone.includes(roomOf(path))) return order.length;
  return order.findIndex((level) => level.includes(roomOf(path)));
}

/** Each cycle of imports once, as `a.ts -> b.ts -> a.ts`, from its first file by name. */
function findCycles(graph: ReadonlyMap<string, readonly Import[]>, counts: (one: Import) => boolean): string[] {
  const cycles = new Set<string>();
  const done = new Set<string>();
  const trail: string[] = [];

  function visit(path: string): void {
    const at = trail.indexOf(path);
    if (at !== -1) {
      const loop = trail.slice(at);
      const first = loop.indexOf([...loop].sort()[0]!);
      cycles.add([...loop.slice(first), ...loop.slice(0, first), loop[first]].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const one of graph.get(path) ?? []) if (counts(one)) visit(one.to);
    trail.pop();
    done.add(path);
  }

  for (const path of graph.keys()) visit(path);
  return [...cycles];
}
