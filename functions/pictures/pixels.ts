/** A decoded picture: uint8, height x width x 3 in row-major order, channels red, green, blue. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
}

/** Values of a pixel: red, green and blue. */
export const CHANNELS = 3;
