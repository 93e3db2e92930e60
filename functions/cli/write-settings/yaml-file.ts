import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseAllDocuments,
  Scalar,
  type ToStringOptions,
  type YAMLMap,
} from 'yaml';
import { ServingError } from '../../errors.ts';
import type { Change } from './settings.ts';

/** A path of keys and, in sequences, indices. */
export type Path = readonly (string | number)[];

/** A YAML file to change a few values of: comments, order and everything else stay. */
export interface YamlFile {
  readonly documents: readonly Document[];
  readonly changes: readonly Change[];
  /**
   * Sets a scalar, with the quotes that it has; maps that are missing are added.
   * @param quoted how a new one is written: `'2'` is a string, 80 a number
   */
  set(document: Document, path: Path, value: string | number, quoted?: boolean): void;
  /** Sets the value of a name in a list of `name` and `value`, as in `env`. */
  setNamed(document: Document, path: Path, name: string, value: string): void;
  text(): string;
}

/** How files are written: one of these gives most files back as they are. */
const STYLES: readonly ToStringOptions[] = [
  {},
  { flowCollectionPadding: false },
  { indentSeq: false },
  { indentSeq: false, flowCollectionPadding: false },
];

/** @throws ServingError `INVALID_INPUT` with the place if the text is not YAML */
export function readYaml(text: string, file: string): YamlFile {
  const documents = parseAllDocuments(text) as Document[];
  for (const { errors } of documents) {
    if (errors[0] !== undefined)
      throw new ServingError('INVALID_INPUT', `${file}: it is not YAML: ${errors[0].message.split('\n')[0]}`);
  }
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  // The text of a document begins with its own marker if the file has one there.
  const write = (style: ToStringOptions): string =>
    documents
      .map((document) => document.toString({ lineWidth: 0, ...style }))
      .reduce((before, next) => before + (/^(---\s|%)/.test(next) ? '' : '---\n') + next)
      .replaceAll('\n', lineEnd);
  const style = STYLES.find((one) => write(one) === text) ?? {};
  const changes: Change[] = [];

  function change(place: Path, from: unknown, to: string | number): void {
    if (from !== undefined && String(from) === String(to)) return;
    changes.push({ place: place.join('.'), from: from === undefined ? undefined : String(from), to: String(to) });
  }

  function set(document: Document, path: Path, value: string | number, quoted = false): void {
    const found = document.getIn(path, true);
    if (isScalar(found)) {
      change(path, found.value, value);
      if (String(found.value) !== String(value)) found.value = keepsType(found.value, value);
      return;
    }
    const alias = path.findIndex((_, i) => isAlias(document.getIn(path.slice(0, i + 1), true)));
    if (alias !== -1 && alias < path.length - 1) {
      const place = path.slice(0, alias + 1).join('.');
      throw new ServingError('INVALID_INPUT', `${file}: ${place} is an alias: write its values there instead`);
    }
    change(path, undefined, value);
    document.setIn(path, scalar(value, quoted));
  }

  function setNamed(document: Document, path: Path, name: string, value: string): void {
    const list = document.getIn(path, true);
    const items = isSeq(list) ? (list.items as unknown[]) : [];
    const index = items.findIndex((item) => isMap(item) && item.get('name') === name);
    if (index !== -1) {
      const item = items[index] as YAMLMap;
      change([name], item.has('value') ? item.get('value') : undefined, value);
      // A value from a secret or a config map gives way.
      item.delete('valueFrom');
      const found = item.get('value', true);
      if (isScalar(found)) found.value = keepsType(found.value, value);
      else item.set('value', scalar(value, true));
      return;
    }
    change([name], undefined, value);
    const entry = document.createNode({ name }) as YAMLMap;
    entry.set('value', scalar(value, true));
    if (isSeq(list)) list.add(entry);
    else document.setIn(path, document.createNode([entry]));
  }

  return { documents, changes, set, setNamed, text: () => write(style) };
}

/** A number stays a number, where it was one. */
function keepsType(before: unknown, value: string | number): string | number {
  return typeof before === 'number' && Number.isFinite(Number(value)) ? Number(value) : value;
}

function scalar(value: string | number, quoted: boolean): Scalar {
  const made = new Scalar(quoted ? String(value) : value);
  if (quoted) made.type = Scalar.QUOTE_SINGLE;
  return made;
}
