/** Where a key leads from the top of a YAML document: names of a map, places in a list. */
export type Path = readonly (string | number)[];

/** Something that is wrong in a file. */
export interface Finding {
  /** From the root folder; for what kustomize built, the folder it was built from. */
  readonly file: string;
  readonly line: number | undefined;
  /** What in the file: a path of keys, or an object's kind and name and such a path. */
  readonly place: string;
  /** What is wrong, and what was expected. */
  readonly problem: string;
}

export function showFinding({ file, line, place, problem }: Finding): string {
  const where = line === undefined ? file : `${file}:${line}`;
  return place === '' ? `${where}: ${problem}` : `${where}: ${place}: ${problem}`;
}

export function showPath(path: Path): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
}

/**
 * Those of files, each once, then those of builds, each once and only where no file has it: a base is in many builds, and a
 * finding with a line says more.
 */
export function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const said = new Set<string>();
  const once = (finding: Finding, key: unknown[]): boolean => {
    const text = JSON.stringify(key);
    const known = said.has(text);
    said.add(text).add(JSON.stringify([finding.place, finding.problem]));
    return !known;
  };
  return [
    ...findings.filter((one) => one.line !== undefined && once(one, [one.file, one.line, one.place, one.problem])),
    ...findings.filter((one) => one.line === undefined && once(one, [one.place, one.problem])),
  ];
}
