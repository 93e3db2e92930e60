import type { PictureSettings } from '../../pictures/settings.ts';
import type { Aggregation } from '../../text/entities.ts';
import type { TextSettings } from '../../text/settings.ts';

/** How a model's inputs are made from texts. Plain data, which the processes get in their orders. */
export interface TextPreparation {
  readonly kind: 'text';
  readonly settings: TextSettings;
  /** The path of `tokenizer.json` on the disk. */
  readonly tokenizer: string;
  /** Its display name, for errors. */
  readonly place: string;
  /** The stamp that it must have: see `checkStamp`. Set if others can write to it. */
  readonly stamp?: string;
  /** See `TokenizerOptions`. */
  readonly specialNames: 'text' | 'token';
  /** How tokens become entities, of a model that labels tokens. Default: `simple`. */
  readonly aggregation?: Aggregation | undefined;
}

/** How a model's input is made from a picture. Plain data, which the processes get in their orders. */
export interface PicturePreparation {
  readonly kind: 'picture';
  readonly settings: PictureSettings;
  /** The order of the input's dimensions. Default: by its shape, and NCHW if that allows both. */
  readonly layout?: 'NCHW' | 'NHWC' | undefined;
  /** The colour under clear pixels. Default: alpha is dropped. */
  readonly background?: readonly [red: number, green: number, blue: number] | undefined;
}

/** How a model's inputs are made from what callers send. */
export type Preparation = TextPreparation | PicturePreparation;
