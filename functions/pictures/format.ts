/** The formats that are decoded. */
export type Format = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif';

/** What the first bytes of a file say. */
export type Recognised =
  | { kind: 'picture'; format: Format }
  /** `name`: what was found, with its article, for an error. */
  | { kind: 'other'; name: string };

/** Bytes of a file's beginning that {@link recognise} reads, at most. */
const HEAD = 512;

/** Formats that are known by name and not decoded. Offset, magic bytes as latin1, name. */
const OTHERS: readonly [offset: number, magic: string, name: string][] = [
  [0, 'BM', 'a BMP picture'],
  [0, 'II*\0', 'a TIFF picture'],
  [0, 'MM\0*', 'a TIFF picture'],
  [0, '%PDF', 'a PDF document'],
  [0, 'PK\x03\x04', 'a zip archive'],
  [0, '\x1f\x8b', 'a gzip archive'],
  [0, '\0\0\x01\0', 'an icon (ICO)'],
  [0, '8BPS', 'a Photoshop picture'],
  [0, '\xff\x0a', 'a JPEG XL picture'],
  [4, 'JXL ', 'a JPEG XL picture'],
  [4, 'jP  ', 'a JPEG 2000 picture'],
  [0, '\x93NUMPY', 'a .npy array'],
];

/**
 * Recognises a file by its first bytes: names and media types are often wrong. Reads at most 512 bytes.
 */
export function recognise(bytes: Uint8Array): Recognised {
  if (bytes.length === 0) return { kind: 'other', name: 'no bytes at all' };
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(HEAD, bytes.length)).toString('latin1');
  const format = formatOf(head);
  if (format !== undefined) return { kind: 'picture', format };
  if (head.startsWith('ftyp', 4))
    return { kind: 'other', name: `a file of the kind ${JSON.stringify(head.slice(8, 12))}` };
  for (const [offset, magic, name] of OTHERS) {
    if (head.startsWith(magic, offset)) return { kind: 'other', name };
  }
  const text = head.replace(/^\xef\xbb\xbf/, '').trimStart();
  if (/^(<\?xml[^>]*>\s*)?(<!--[^>]*-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/i.test(text)) {
    return { kind: 'other', name: 'an SVG drawing' };
  }
  if (/^<(!doctype )?html/i.test(text)) return { kind: 'other', name: 'an HTML page' };
  if (/^data:image\//.test(text)) return { kind: 'other', name: 'a data: URL as text' };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters tell binary data from text
  if (!/[\0-\x08\x0e-\x1f]/.test(head)) return { kind: 'other', name: 'a text file' };
  return { kind: 'other', name: `a file that begins with ${Buffer.from(head.slice(0, 8), 'latin1').toString('hex')}` };
}

function formatOf(head: string): Format | undefined {
  if (head.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'gif';
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return 'webp';
  if (head.startsWith('ftyp', 4) && /^(avif|avis)/.test(head.slice(8))) return 'avif';
  return undefined;
}
