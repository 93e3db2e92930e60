import { plainOf } from '../result/words.ts';
import { bytesText, cut } from '../text.ts';

/** The media types of pictures that the server takes, and the first bytes of each kind of file. */
const TYPES: readonly (readonly [type: string, start: RegExp])[] = [
  ['image/jpeg', /^\xff\xd8/],
  ['image/png', /^\x89PNG/],
  ['image/gif', /^GIF8/],
  ['image/webp', /^RIFF[\s\S]{4}WEBP/],
  ['image/avif', /^[\s\S]{4}ftypavi[fs]/],
];

/** The media types as a file chooser takes them. */
export const ACCEPTED = TYPES.map(([type]) => type).join(',');
/** The kinds of files, for people. */
export const KINDS = 'JPEG, PNG, GIF, WebP or AVIF';

/** Why a file is not sent, and what to choose instead; undefined if it is. @param most bytes of a request */
export function refusalOf(
  { name, type, size }: Pick<File, 'name' | 'type' | 'size'>,
  most: number,
): string | undefined {
  const shown = cut(name, 60);
  if (!TYPES.some(([one]) => one === type)) {
    return `${shown} is ${type === '' ? 'no picture' : type}: choose a ${KINDS} file.`;
  }
  if (size === 0) return `${shown} is empty: choose another picture.`;
  if (size <= most) return undefined;
  return `${shown} has ${bytesText(size)}, and the server takes ${bytesText(most)} at most: choose a smaller picture.`;
}

/** The picture in the `features` of a body: base64, by the input's name or alone; undefined if there is none. */
export function pictureIn(features: unknown): File | undefined {
  const only = plainOf(features);
  const value = typeof only === 'object' && only !== null ? plainOf(Object.values(only)[0]) : only;
  if (typeof value !== 'string' || value === '') return undefined;
  let binary: string;
  try {
    binary = atob(value.replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    return undefined;
  }
  const [type = 'image/jpeg'] = TYPES.find(([, start]) => start.test(binary)) ?? [];
  const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  return new File([bytes], `example.${type.replace('image/', '').replace('jpeg', 'jpg')}`, { type });
}

/** Characters that are made at once: a function takes a limited number of arguments. */
const PIECE = 0x8000;

/** Bytes as base64. */
export function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += PIECE) binary += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  return btoa(binary);
}
