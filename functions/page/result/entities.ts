/** A part of a text with a label. */
export interface Entity {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  /** The first character and the one behind the last, in code points of the text. */
  readonly start: number;
  readonly end: number;
}

/** A part of a text, and its entity if it is one. */
interface Segment {
  readonly text: string;
  readonly entity?: Entity;
}

/** Cuts a text at its entities. One that is not in the text, or in another one, is left out. */
export function segmentsOf(text: string, entities: readonly Entity[]): Segment[] {
  const characters = [...text];
  const part = (from: number, to: number): string => characters.slice(from, to).join('');
  const segments: Segment[] = [];
  let at = 0;
  for (const entity of entities.toSorted((a, b) => a.start - b.start)) {
    const { start, end } = entity;
    if (!(start >= at && end > start && end <= characters.length)) continue;
    if (start > at) segments.push({ text: part(at, start) });
    segments.push({ text: part(start, end), entity });
    at = end;
  }
  if (at < characters.length) segments.push({ text: part(at, characters.length) });
  return segments;
}
