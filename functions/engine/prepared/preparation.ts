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
  /** The order of the dimensions of the model's input. Default: from its shape. */
  readonly layout?: 'NCHW' | 'NHWC' | undefined;
  /** The colour under clear pixels. Default: alpha is dropped. */
  readonly background?: readonly [red: number, green: number, blue: number] | undefined;
}

/** Code of the model's author that makes its inputs or its answers. Plain data, which the processes get in their orders. */
export interface CodePreparation {
  readonly kind: 'code';
  /** The path of `transform.ts` or `transform.js` on the disk. */
  readonly path: string;
  /** Its display name, for errors. */
  readonly place: string;
  /** The stamps of it and of the files of its folder, by path, as they were listed; undefined if only this process writes to them. */
  readonly stamps: readonly (readonly [path: string, stamp: string])[] | undefined;
}

/** How a model's inputs are made from what callers send. */
export type Preparation = TextPreparation | PicturePreparation | CodePreparation;
