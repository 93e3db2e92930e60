import { ServingError } from '../errors.ts';
import type { EncodedText } from './tokenizer.ts';

/** How tokens of a word that have different labels become one entity, by the names of transformers. */
export type Aggregation = 'none' | 'simple' | 'first' | 'average' | 'max';

/** A part of a text with a label. */
export interface Entity {
  /** With `none`, the label of the token, `B-PER`; otherwise that without `B-` and `I-`. */
  readonly label: string;
  readonly score: number;
  /** The tokens as text again, as the vocabulary has them: in lower case where the model is. */
  readonly word: string;
  /** The first character and the one behind the last, in code points of the text. */
  readonly start: number;
  readonly end: number;
}

/** What {@link findEntities} needs beside the tokens. */
export interface EntityOptions {
  readonly aggregation: Aggregation;
  /** The names of the labels, by index. */
  readonly labels: readonly string[];
  /** Labels, with or without `B-` and `I-`, that are left out. Default: `O`. */
  readonly ignored?: readonly string[];
  /** What a token begins with that continues a word; undefined: a word ends at a space. */
  readonly continuingPrefix: string | undefined;
  /** The id of the unknown token, which begins a word. */
  readonly unknownId: number | undefined;
  /** Tokens as text again. */
  readonly join: (tokens: readonly string[]) => string;
}

/** A token that is no special one, or a word made of several. */
interface Piece {
  readonly word: string;
  readonly start: number;
  readonly end: number;
  readonly continues: boolean;
  readonly scores: Float32Array;
}

interface Labelled {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The entities of a text, as the token classification pipeline of transformers makes them: tokens are joined to words unless
 * `simple` or `none` is asked for, and neighbours with the same label to an entity unless the latter begins with `B-`.
 * @param text the text itself, of which the tokens are
 * @param encoded its tokens, with their places
 * @param scores softmax of the logits: `[tokens, labels]`
 * @throws ServingError `MODEL_FAILED` if the model has another number of scores than there are labels
 */
export function findEntities(
  text: string,
  encoded: Required<EncodedText>,
  scores: Float32Array,
  options: EntityOptions,
): Entity[] {
  const { aggregation, labels, join } = options;
  if (scores.length !== encoded.ids.length * labels.length) {
    const message = `the model gives ${scores.length / encoded.ids.length} scores a token, and config.json has ${labels.length} labels: id2label`;
    throw new ServingError('MODEL_FAILED', message);
  }
  const ignored = new Set(options.ignored ?? ['O']);
  const pieces = piecesOf([...text], encoded, scores, options);
  if (aggregation === 'none') {
    return pieces.map((piece) => label(piece, labels)).filter(({ label }) => !ignored.has(label));
  }
  const words = aggregation === 'simple' ? pieces : wordsOf(pieces, aggregation, join);
  return groupsOf(words.map((word) => label(word, labels)))
    .map((group) => entityOf(group, join))
    .filter(({ label }) => !ignored.has(label));
}

function piecesOf(
  characters: readonly string[],
  { ids, places }: Required<EncodedText>,
  scores: Float32Array,
  { labels, continuingPrefix, unknownId }: EntityOptions,
): Piece[] {
  const pieces: Piece[] = [];
  for (const [i, id] of ids.entries()) {
    if (places.special[i] === 1) continue;
    const start = places.offsets[2 * i]!;
    const end = places.offsets[2 * i + 1]!;
    const token = places.tokens[i]!;
    const unknown = id === unknownId;
    pieces.push({
      word: unknown ? characters.slice(start, end).join('') : token,
      start,
      end,
      continues: !unknown && continuesWord(token, start, end, characters, continuingPrefix),
      scores: scores.subarray(i * labels.length, (i + 1) * labels.length),
    });
  }
  return pieces;
}

/**
 * The rules of transformers: where the vocabulary marks what continues a word, such a token is longer than its text; elsewhere
 * a token continues a word unless a space is before it or at its first character.
 */
function continuesWord(
  token: string,
  start: number,
  end: number,
  characters: readonly string[],
  prefix: string | undefined,
): boolean {
  if (prefix !== undefined) return [...token].length !== end - start;
  return start > 0 && characters[start - 1] !== ' ' && characters[start] !== ' ';
}

function wordsOf(
  pieces: readonly Piece[],
  aggregation: 'first' | 'average' | 'max',
  join: EntityOptions['join'],
): Piece[] {
  const groups: Piece[][] = [];
  for (const piece of pieces) {
    if (piece.continues && groups.length > 0) groups.at(-1)!.push(piece);
    else groups.push([piece]);
  }
  return groups.map((group) => ({
    word: join(group.map(({ word }) => word)),
    start: group[0]!.start,
    end: group.at(-1)!.end,
    continues: false,
    scores: scoresOf(group, aggregation),
  }));
}

function scoresOf(group: readonly Piece[], aggregation: 'first' | 'average' | 'max'): Float32Array {
  const [first] = group;
  if (aggregation === 'first') return first!.scores;
  if (aggregation === 'average') {
    return first!.scores.map((_, i) => group.reduce((sum, { scores }) => sum + scores[i]!, 0) / group.length);
  }
  return group.reduce((best, { scores }) => (highest(scores) > highest(best) ? scores : best), first!.scores);
}

function highest(scores: Float32Array): number {
  return scores.reduce((most, score) => Math.max(most, score), -Infinity);
}

function label({ word, start, end, scores }: Piece, labels: readonly string[]): Labelled {
  const score = highest(scores);
  // A model that gives NaN has no highest score: numpy's argmax is the first NaN, too.
  const index = scores.findIndex((value) => Object.is(value, score));
  return { label: labels[index]!, score, word, start, end };
}

function groupsOf(words: readonly Labelled[]): Labelled[][] {
  const groups: Labelled[][] = [];
  for (const word of words) {
    const last = groups.at(-1)?.at(-1);
    if (last !== undefined && tagOf(last.label) === tagOf(word.label) && !word.label.startsWith('B-')) {
      groups.at(-1)!.push(word);
    } else groups.push([word]);
  }
  return groups;
}

/** The label without `B-` or `I-`. */
function tagOf(label: string): string {
  return /^[BI]-/.test(label) ? label.slice(2) : label;
}

function entityOf(group: readonly Labelled[], join: EntityOptions['join']): Entity {
  const { label, start } = group[0]!;
  return {
    // Transformers cuts at the first hyphen, whatever is before it: of `S-ORG`, `ORG` is left.
    label: label.slice(label.indexOf('-') + 1),
    score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
    word: join(group.map(({ word }) => word)),
    start,
    end: group.at(-1)!.end,
  };
}
