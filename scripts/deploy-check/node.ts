import { type Finding, type Path, showPath } from './finding.ts';

/** The origin of a document. */
interface Source {
  readonly file: string;
  /** The line of a key, or of the nearest existing one. */
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
    const { value } = this;
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : undefined;
  }

  /** The value of a number, or of a text of digits. */
  get number(): number | undefined {
    const { text } = this;
    return text !== undefined && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
  }

  finding(problem: string): Finding {
    const { source, path, object } = this;
    const place = [object, showPath(path)].filter((part) => part !== '').join(' ');
    return { file: source.file, line: source.lineOf(path), place, problem };
  }
}

function nameObject(value: unknown): string {
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown } };
  if (typeof kind !== 'string') return '';
  return typeof metadata?.name === 'string' ? `${kind}/${metadata.name}` : kind;
}
