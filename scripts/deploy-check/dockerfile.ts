/** One stage of a Dockerfile, including what it inherits from its base stage. */
export interface Stage {
  readonly name: string;
  /** The line of its `FROM`. */
  readonly line: number;
  readonly env: ReadonlyMap<string, { readonly value: string; readonly line: number }>;
  readonly exposes: readonly number[];
  readonly user: string;
  readonly workdir: string;
  /** Whether no other stage is based on it: it is an image that is run. */
  readonly final: boolean;
}

interface Instruction {
  readonly name: string;
  readonly rest: string;
  readonly line: number;
}

interface Draft {
  name: string;
  line: number;
  env: Map<string, { value: string; line: number }>;
  exposes: number[];
  user: string;
  workdir: string;
}

/** Reads the parts of a Dockerfile with which the files that run its image must agree. */
export function readDockerfile(text: string): Stage[] {
  const stages: Draft[] = [];
  const used = new Set<string>();
  for (const { name, rest, line } of instructionsOf(text)) {
    const stage = stages.at(-1);
    if (name === 'FROM') {
      const { from, as } = readFrom(rest);
      const base = stages.find((one) => one.name === from);
      if (base !== undefined) used.add(from);
      stages.push(startStage(base, as ?? String(stages.length), line));
    } else if (stage === undefined) continue;
    else if (name === 'COPY' || name === 'ADD') {
      const [, from] = /--from=(\S+)/.exec(rest) ?? [];
      if (from !== undefined) used.add(from);
    } else if (name === 'ENV') for (const [key, value] of pairsOf(rest)) stage.env.set(key, { value, line });
    else if (name === 'EXPOSE') stage.exposes.push(...rest.split(/\s+/).map((port) => Number.parseInt(port, 10)));
    else if (name === 'USER') stage.user = rest;
    else if (name === 'WORKDIR') stage.workdir = rest;
  }
  return stages.map((stage) => ({ ...stage, final: !used.has(stage.name) }));
}

function startStage(base: Draft | undefined, name: string, line: number): Draft {
  const { env = new Map(), exposes = [], user = '', workdir = '/' } = base ?? {};
  return { name, line, env: new Map(env), exposes: [...exposes], user, workdir };
}

function readFrom(rest: string): { from: string; as: string | undefined } {
  const words = rest.split(/\s+/).filter((word) => !word.startsWith('--'));
  const as = words[1]?.toUpperCase() === 'AS' ? words[2] : undefined;
  return { from: words[0] ?? '', as };
}

/** `A=1 B="two words"`, or the old `A the rest`. */
function pairsOf(rest: string): [key: string, value: string][] {
  const pairs = Array.from(
    rest.matchAll(/(\w+)=("(?:\\.|[^"\\])*"|'[^']*'|\S*)/g),
    ([, key, value]): [string, string] => [key!, value!.replace(/^(["'])(.*)\1$/s, '$2')],
  );
  if (/^\w+=/.test(rest)) return pairs;
  const [key = '', ...words] = rest.split(/\s+/);
  return [[key, words.join(' ')]];
}

/** A backslash at the end of a line continues it on the next; comments between them are skipped. */
function instructionsOf(text: string): Instruction[] {
  const found: Instruction[] = [];
  let open: { text: string; line: number } | undefined;
  for (const [i, raw] of text.split('\n').entries()) {
    const part = raw.trim();
    if (part.startsWith('#') || part === '') continue;
    const whole: { text: string; line: number } = { text: `${open?.text ?? ''}${part}`, line: open?.line ?? i + 1 };
    if (part.endsWith('\\')) {
      open = { text: `${whole.text.slice(0, -1).trimEnd()} `, line: whole.line };
      continue;
    }
    open = undefined;
    const [name = '', ...words] = whole.text.split(/\s+/);
    found.push({ name: name.toUpperCase(), rest: words.join(' '), line: whole.line });
  }
  return found;
}
