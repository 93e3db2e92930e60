/** A text at which the process ends whose tokenizer has {@link fatalNormalizer}. */
export const FATAL_TEXT = '#';

/**
 * A normalizer of `tokenizer.json` with which the library ends its process at {@link FATAL_TEXT} alone: the double-array trie of its
 * replacements has a leaf for it that points behind their end.
 */
export function fatalNormalizer(): object {
  const units = new Uint32Array(512);
  const offset = 256;
  const code = FATAL_TEXT.charCodeAt(0);
  units[0] = offset << 10;
  units[offset ^ code] = (1 << 8) | code;
  const trie = Buffer.from(units.buffer);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(trie.length);
  const map = Buffer.concat([size, trie, Buffer.from('\0')]).toString('base64');
  return { type: 'Precompiled', precompiled_charsmap: map };
}
