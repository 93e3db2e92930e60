/** The path of a value from the top of a YAML document: keys of maps, indexes of lists. */
export type Path = readonly (string | number)[];

/** A fault in a file. */
export interface Finding {
  /** Relative to the root folder; of a build by kustomize, its folder. */
  readonly file: string;
  readonly line: number | undefined;
  /** The place in the file: a path of keys, or an object's kind and name and such a path. */
  readonly place: string;
  /** The fault, and what was expected. */
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
 * Removes duplicates: returns the findings of files, and then those of builds that no file has. A base is in many builds, and the
 * finding of a file has a line.
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
