/** The forms of requests, as `--format` has them. */
export const FORMAT_NAMES = ['native', 'oip', 'oip-binary', 'tensorflow', 'vertex'] as const;

export type FormatName = (typeof FORMAT_NAMES)[number];
