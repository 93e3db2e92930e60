import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
  type Node as YamlNode,
} from 'yaml';
import type { Finding, Path } from './finding.ts';
import { Node } from './node.ts';

/** The documents of one YAML file, and what of it is not YAML. */
export interface YamlFile {
  readonly documents: readonly Node[];
  readonly findings: readonly Finding[];
}

/** A boolean in YAML 1.1, which kubectl and docker-compose read; a text in 1.2. */
const AMBIGUOUS = /^(y|yes|n|no|on|off)$/i;

/**
 * Reads the documents of one file. What versions of YAML read differently is a finding.
 * @param file what findings call it.
 * @param built it is what kustomize wrote: its lines are in no file, and are not named.
 */
export function readYaml(file: string, text: string, built = false): YamlFile {
  const lines = new LineCounter();
  const documents: Node[] = [];
  const findings: Finding[] = [];
  for (const document of parseAllDocuments(text, { merge: true, lineCounter: lines })) {
    for (const error of [...document.errors, ...document.warnings]) {
      const [message = ''] = error.message.split('\n');
      findings.push({ file, line: error.linePos?.[0].line, place: '', problem: `not YAML: ${message}` });
    }
    if (document.errors.length > 0 || document.contents === null) continue;
    if (!built) findings.push(...findAmbiguous(file, document, lines));
    const contents: YamlNode = document.contents;
    const lineOf = (path: Path): number | undefined =>
      built ? undefined : lines.linePos(offsetOf(contents, path)).line;
    documents.push(new Node({ file, lineOf }, [], document.toJS()));
  }
  return { documents, findings };
}

function findAmbiguous(file: string, document: Document.Parsed, lines: LineCounter): Finding[] {
  const findings: Finding[] = [];
  visit(document, {
    Scalar(_, { type, source, range }) {
      if (type !== 'PLAIN' || !AMBIGUOUS.test(source ?? '') || !range) return;
      const problem = `${source} is a boolean to some programs and a text to others: write true, false, or '${source}'`;
      findings.push({ file, line: lines.linePos(range[0]).line, place: '', problem });
    },
  });
  return findings;
}

/** Where the key stands, or what of the path there is. */
function offsetOf(contents: YamlNode, path: Path): number {
  let offset = contents.range?.[0] ?? 0;
  let node: unknown = contents;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (pair === undefined) return offset;
      offset = (pair.key as YamlNode).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(key)];
      if (item === undefined) return offset;
      offset = (item as YamlNode).range?.[0] ?? offset;
      node = item;
    } else return offset;
  }
  return offset;
}
