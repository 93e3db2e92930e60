import type { Bytes } from '../../functions/onnx/wire.ts';

/** A model's bytes in memory, read as those of its file are. */
export function bytesOf(content: Uint8Array<ArrayBuffer>): Bytes {
  const buffer = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  return {
    size: content.length,
    byte: (at) => content[at]!,
    read: (from, to) => content.slice(from, to),
    text: (from, to) => buffer.toString('utf8', from, to),
    copy: (from, to, target, at) => target.set(content.subarray(from, to), at),
    close: () => {},
  };
}
