/** Gives a name that no value and no node has. */
export type Names = (base: string) => string;

/** The names of a quantized tensor, of its scale and of its zero point. */
export interface QuantizedValue {
  readonly quantized: string;
  readonly scale: string;
  readonly zeroPoint: string;
}
