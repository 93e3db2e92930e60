import { type Document, LineCounter, parseAllDocuments, type Node as YamlNode } from 'yaml';

/** The path of a value from the top of a YAML document: keys of maps, indexes of lists. */
export type Path = readonly (string | number)[];

/** A fault in a file. */
export interface Finding {
  /** Relative to the root folder; of a build by kustomize, its folder. */
  readonly file: string;
  /** Undefined in a build by kustomize. */
  readonly line: number | undefined;
  /** The place in the file: a path of keys, or an object's kind and name and such a path. */
  readonly place: string;
  /** The fault, and what was expected. */
  readonly problem: string;
}

export function showFinding({ file, line, place, problem }: Finding): string {
  return [line === undefined ? file : `${file}:${line}`, place, problem].filter((part) => part !== '').join(': ');
}

/** The origin of a document; `lineOf` gives the line of a key, or of the nearest existing one. */
interface Source {
  readonly file: string;
  lineOf(path: Path): number | undefined;
}

/** A place in a YAML document, which may be missing: rules read values without checking that they exist. */
export class Node {
  readonly source: Source;
  readonly path: Path;
  readonly value: unknown;
  /** Kind and name of its object. */
  readonly object: string;

  constructor(source: Source, path: Path, value: unknown, object = nameObject(value)) {
    this.source = source;
    this.path = path;
    this.value = value;
    this.object = object;
  }

  at(...keys: Path): Node {
    let value = this.value;
    for (const key of keys) {
      const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
      value = inside ? (value as Record<string | number, unknown>)[key] : undefined;
    }
    return new Node(this.source, [...this.path, ...keys], value, this.object);
  }

  get given(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** The items of a list; empty for anything else. */
  get items(): Node[] {
    return Array.isArray(this.value) ? this.value.map((_, i) => this.at(i)) : [];
  }

  /** The entries of a map; empty for anything else. */
  get entries(): [name: string, node: Node][] {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    return Object.keys(value).map((name) => [name, this.at(name)]);
  }

  /** The text of a scalar, as it is written. */
  get text(): string | undefined {
    return ['string', 'number', 'boolean'].includes(typeof this.value) ? String(this.value) : undefined;
  }

  /** The value of a number, or of a text of digits. */
  get number(): number | undefined {
    const { text } = this;
    return text !== undefined && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
  }

  finding(problem: string): Finding {
    const { source, path, object } = this;
    const keys = path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
    return { file: source.file, line: source.lineOf(path), place: `${object} ${keys}`.trim(), problem };
  }
}

function nameObject(value: unknown): string {
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown } };
  if (typeof kind !== 'string') return '';
  return typeof metadata?.name === 'string' ? `${kind}/${metadata.name}` : kind;
}

/**
 * Reads the documents of one file.
 * @param file its name in findings.
 * @param built whether it is the output of kustomize, whose lines are in no file and not reported.
 */
export function readYaml(file: string, text: string, built = false): { documents: Node[]; findings: Finding[] } {
  const lines = new LineCounter();
  const documents: Node[] = [];
  const findings: Finding[] = [];
  for (const document of parseAllDocuments(text, { merge: true, lineCounter: lines })) {
    for (const error of [...document.errors, ...document.warnings]) {
      const [message = ''] = error.message.split('\n');
      findings.push({ file, line: error.linePos?.[0].line, place: '', problem: `not YAML: ${message}` });
    }
    if (document.errors.length > 0 || document.contents === null) continue;
    const lineOf = (path: Path) => (built ? undefined : lines.linePos(offsetOf(document, path)).line);
    documents.push(new Node({ file, lineOf }, [], document.toJS()));
  }
  return { documents, findings };
}

/** The position of a value, or of the nearest value that would contain it. */
function offsetOf(document: Document.Parsed, path: Path): number {
  const node = document.getIn(path, true) as YamlNode | undefined;
  if (node?.range || path.length === 0) return node?.range?.[0] ?? 0;
  return offsetOf(document, path.slice(0, -1));
}
