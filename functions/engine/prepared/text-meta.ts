/** The columns of the input `meta`. */
export const META = { length: 0, untruncatedLength: 1, promptLength: 2, flags: 3, columns: 4 } as const;
/** A bit of the flags: the embedding is not normalized. */
export const NOT_NORMALIZED = 1;
/** Bytes of a token, or of its padding, in the inputs of a run. */
export const BYTES_PER_TOKEN = 5;
