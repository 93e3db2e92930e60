/** Protobuf's wire format by hand (https://protobuf.dev/programming-guides/encoding/), to test the decoder against. */

/** A base-128 varint of an unsigned number. */
export function varint(number: number): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  let rest = number;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}

/** A field: a number as a varint, text and bytes (a nested message too) with their length before them. */
export function field(number: number, content: number | string | Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof content === 'number') return concat(varint(number * 8), varint(content));
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return concat(varint(number * 8 + 2), varint(bytes.length), bytes);
}

export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}
