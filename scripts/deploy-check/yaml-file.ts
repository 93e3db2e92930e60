import { type Document, LineCounter, parseAllDocuments, type Node as YamlNode } from 'yaml';
import type { Finding, Path } from './finding.ts';
import { Node } from './node.ts';

/** The documents of one YAML file, and its syntax errors. */
interface YamlFile {
  readonly documents: readonly Node[];
  readonly findings: readonly Finding[];
}

/**
 * Reads the documents of one file.
 * @param file its name in findings.
 * @param built whether it is the output of kustomize, whose lines are in no file and not reported.
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
    const lineOf = (path: Path): number | undefined =>
      built ? undefined : lines.linePos(offsetOf(document, path)).line;
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
