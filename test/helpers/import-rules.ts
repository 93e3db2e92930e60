import { posix } from 'node:path';

/** One source's import of another file (a path from the root) or of a package (a bare name). */
interface Import {
  readonly to: string;
  readonly typeOnly: boolean;
}

export interface Rules {
  /**
   * Rooms, sub-rooms and single files by their paths from `functions/`, top first. A file is of the longest path that fits; it may
   * import its own room and what stands further down.
   */
  readonly order: readonly (readonly string[])[];
  /** Rooms that import nothing of ours. */
  readonly alone: readonly string[];
  /** Packages, each with the files that may import it. */
  readonly packages: Readonly<Record<string, readonly string[]>>;
  /** Files that may read or write `process.env`, each with the only text that may follow it; '' for any. */
  readonly env: Readonly<Record<string, string>>;
  /** Files outside `functions/` that a file may load, each with the reason. */
  readonly outside: Readonly<Record<string, string>>;
  /** Lines that a function may have. */
  readonly maxFunctionLines: number;
  /** Files that a folder may have, without its sub-folders. */
  readonly maxFolderFiles: number;
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
    for (const { name, lines } of functionsOf(text)) {
      if (lines > rules.maxFunctionLines) {
        breaches.push(`${path}: ${name} has ${lines} lines, ${rules.maxFunctionLines} at most`);
      }
    }
    if (rankOf(path, rules) === -1) breaches.push(`${path}: its room is not in the list of rooms`);
    for (const { to } of imports) {
      const breach = sources.has(to) ? checkOwn(path, to, rules) : checkForeign(path, to, rules);
      if (breach !== undefined) breaches.push(`${path}: ${breach}`);
    }
    breaches.push(...checkEnv(path, code, rules));
  }
  for (const [folder, files] of Map.groupBy(sources.keys(), (path) => posix.dirname(path))) {
    if (files.length > rules.maxFolderFiles)
      breaches.push(`${folder}: ${files.length} files, ${rules.maxFolderFiles} at most`);
  }
  const valueCycles = findCycles(graph, ({ typeOnly }) => !typeOnly);
  for (const cycle of valueCycles) breaches.push(`import cycle: ${cycle}`);
  for (const cycle of findCycles(graph, () => true)) {
    if (!valueCycles.includes(cycle)) breaches.push(`cycle of type imports: ${cycle}`);
  }
  return breaches;
}

const STATEMENT = /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s*)?['"]([^'"]+)['"]/gm;
/** The file of a thread or a process: `new URL('./worker.ts', import.meta.url)`, in either branch of a condition. */
const ENTRY = /new URL\(\s*(?:\w+ \? )?(['"`])([^'"`]+\.ts)\1/g;
const EXPRESSION = /(\btypeof\s+)?\bimport\(\s*['"`]([^'"`]+)['"`]/g;

function importsOf(path: string, code: string): Import[] {
  const entries = [...code.matchAll(ENTRY)].map(([, , name]) => [undefined, name] as const);
  const imports = [...code.matchAll(STATEMENT), ...code.matchAll(EXPRESSION)].map(
    ([, type, name]) => [type, name] as const,
  );
  return [...imports, ...entries].map(([typeOnly, name]) => ({
    to: name!.startsWith('.') ? posix.join(posix.dirname(path), name!) : name!,
    typeOnly: typeOnly !== undefined,
  }));
}

/** Declared functions, also those inside others, with their lines: the formatter puts their last brace below their first letter. */
function functionsOf(text: string): { name: string; lines: number }[] {
  const lines = text.split('\n');
  return lines.flatMap((line, start) => {
    const found = /^(\s*)(?:export )?(?:default )?(?:async )?function\*? ?(\w+)/.exec(line);
    if (found === null || line.trimEnd().endsWith('}')) return [];
    const end = lines.findIndex((other, at) => at > start && other === `${found[1]}}`);
    return end === -1 ? [] : [{ name: found[2]!, lines: end - start + 1 }];
  });
}

/** Comments become spaces, so that words in them are not taken for code; strings stay as they are. */
function withoutComments(text: string): string {
  const parts = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/.*/g;
  return text.replace(parts, (part) => (part.startsWith('/') ? ' ' : part));
}

function checkOwn(from: string, to: string, rules: Rules): string | undefined {
  if (rules.alone.includes(roomOf(from)) && roomOf(from) !== roomOf(to))
    return `imports ${to}: ${roomOf(from)} imports nothing of ours`;
  if (rankOf(to, rules) === -1) return undefined;
  if (rankOf(from, rules) > rankOf(to, rules)) return `imports ${to}, up the list of rooms`;
  return undefined;
}

function checkForeign(from: string, to: string, rules: Rules): string | undefined {
  if (to.startsWith('node:') || rules.outside[`${from}: ${to}`] !== undefined) return undefined;
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
      : [`${path}: uses process.env, which is for config/ alone`];
  });
}

function roomOf(path: string): string {
  return path.split('/')[0]!;
}

function rankOf(path: string, { order, alone }: Rules): number {
  if (alone.includes(roomOf(path))) return order.length;
  const fits = (room: string): boolean => path === room || path.startsWith(`${room}/`);
  const longest = Math.max(
    0,
    ...order
      .flat()
      .filter(fits)
      .map((room) => room.length),
  );
  return order.findIndex((level) => level.some((room) => fits(room) && room.length === longest));
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
