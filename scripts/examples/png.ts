import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const [EIGHT_BITS, GREY] = [8, 0];

/** A PNG file of grey pixels. @param levels `height` rows of `width`, from 0 (black) to 255 (white) */
export function greyPng(width: number, height: number, levels: Uint8Array): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([EIGHT_BITS, GREY], 8);
  // A line begins with its filter: 0, none.
  const lines = Array.from({ length: height }, (_, y) => [0, ...levels.subarray(y * width, (y + 1) * width)]);
  const pixels = deflateSync(Uint8Array.from(lines.flat()), { level: 9 });
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const result = Buffer.alloc(named.length + 8);
  result.writeUInt32BE(data.length, 0);
  result.set(named, 4);
  result.writeUInt32BE(crc32(named), named.length + 4);
  return result;
}
