import * as z from 'zod/mini';

/** Tokens of a text; no model has positions for more. */
const MOST_TOKENS = 2 ** 20;
/** Pixels on a side of what a model takes. */
const MOST_SIDE = 16_384;
const MOST_PROMPTS = 256;
/** Characters of a prompt, which precedes each text. */
const LONGEST_PROMPT = 16_384;
const LONGEST_NAME = 1024;
/** A picture's values are 0 to 255 before they are scaled. */
const LARGEST = 1e6;

const name = z.string().check(z.minLength(1), z.maxLength(LONGEST_NAME));
const side = z.int().check(z.minimum(1), z.maximum(MOST_SIDE));
const value = z.number().check(z.minimum(-LARGEST), z.maximum(LARGEST));
const deviation = z.number().check(z.positive(), z.maximum(LARGEST));
const perChannel = (one: z.ZodMiniNumber) => {
  const error = 'expected a number, or 3 numbers: red, green, blue';
  return z.union([one, z.array(one).check(z.length(3, error))], { error });
};
const level = z.int().check(z.minimum(0), z.maximum(255));

/** `input.text` of `model.json`: the values that the files of an export do not have, or that replace theirs. */
export const textInput = z.strictObject({
  task: z.optional(z.enum(['embedding', 'classification', 'reranking', 'token-classification'])),
  /** The most tokens of a text, special ones included; the rest is cut off. */
  maxLength: z.optional(z.int().check(z.minimum(2), z.maximum(MOST_TOKENS))),
  /** The side from which tokens are cut off. */
  truncationSide: z.optional(z.enum(['right', 'left'])),
  /** Whether texts are put into lower case before the tokenizer. */
  lowerCase: z.optional(z.boolean()),
  /** Whether the name of a special token in a text, such as `[SEP]`, is text or that token. */
  specialTokens: z.optional(z.enum(['text', 'token'])),
  pooling: z.optional(z.enum(['cls', 'mean', 'max', 'mean_sqrt_len', 'weighted_mean', 'last'])),
  normalize: z.optional(z.boolean()),
  /** Whether the tokens of a prompt take part in pooling. */
  includePrompt: z.optional(z.boolean()),
  /** Texts to put before a caller's text, by name. */
  prompts: z.optional(
    z
      .record(name, z.string().check(z.maxLength(LONGEST_PROMPT)))
      .check(z.refine((all) => Object.keys(all).length <= MOST_PROMPTS, `expected at most ${MOST_PROMPTS} prompts`)),
  ),
  defaultPrompt: z.optional(name),
  /** How the tokens of an entity become one. */
  aggregation: z.optional(z.enum(['none', 'simple', 'first', 'average', 'max'])),
});
export type TextInput = z.infer<typeof textInput>;

/** `input.image` of `model.json`: the values that the files of an export do not have, or that replace theirs. */
export const imageInput = z
  .strictObject({
    size: z.optional(side),
    width: z.optional(side),
    height: z.optional(side),
    /** What `size` is. */
    resize: z.optional(z.enum(['shortest', 'exact', 'longest'])),
    crop: z.optional(
      z.union([side, z.strictObject({ width: side, height: side })], {
        error: 'expected a number of pixels, or an object with width and height',
      }),
    ),
    filter: z.optional(z.enum(['nearest', 'bilinear', 'bicubic', 'lanczos', 'box', 'hamming'])),
    /** What the levels, 0 to 255, are multiplied by. */
    scale: z.optional(deviation),
    mean: z.optional(perChannel(value)),
    std: z.optional(perChannel(deviation)),
    order: z.optional(z.enum(['RGB', 'BGR'])),
    /** The order of the input's dimensions. Default: by its shape. */
    layout: z.optional(z.enum(['NCHW', 'NHWC'])),
    /** The colour under clear pixels. Default: alpha is dropped. */
    background: z.optional(z.array(level).check(z.length(3, 'expected 3 numbers of 0 to 255: red, green, blue'))),
  })
  .check(
    z.refine(({ width, height }) => (width === undefined) === (height === undefined), {
      error: 'expected width and height together',
      path: ['width'],
    }),
    z.refine(({ width, size }) => width === undefined || size === undefined, {
      error: 'expected either size, or width and height',
      path: ['size'],
    }),
    z.refine(({ resize, size }) => resize === undefined || size !== undefined, {
      error: 'is for size, which is missing',
      path: ['resize'],
    }),
  );
export type ImageInput = z.infer<typeof imageInput>;
