/** Text that is written into a JSON body unchanged: for what `JSON.stringify` can't write. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A value as JSON text, with each {@link Raw} in its place. */
export function writeText(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(writeText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${writeText(member)}`);
  return `{${members.join(',')}}`;
}
