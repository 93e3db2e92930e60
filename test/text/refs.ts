import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Reference models, texts and what transformers gives for them: see the README there. */
export const REFS = join(import.meta.dirname, '../assets/refs');

export interface Case {
  readonly id: string;
  readonly tokens: readonly string[];
  readonly input_ids: readonly number[];
  readonly token_type_ids?: readonly number[];
  readonly untruncated_length?: number;
  readonly embedding?: readonly number[];
  readonly logits?: readonly number[];
  readonly softmax?: readonly number[];
  readonly sigmoid?: readonly number[] | number;
  readonly logit?: number;
  readonly labels_over_half?: readonly string[];
}

export interface Expected {
  readonly settings: {
    readonly max_length: number;
    readonly ranking?: {
      readonly query: string;
      readonly documents: readonly string[];
      readonly best_first: readonly { index: number; logit: number; sigmoid: number }[];
    };
  };
  readonly cases: readonly Case[];
}

export const MODELS = ['text-embedding-bert', 'text-classifier', 'reranker'] as const;

export const readText = (path: string) => readFileSync(join(REFS, path), 'utf8');
const readJson = <T>(path: string) => JSON.parse(readText(path)) as T;

export const expectedOf = (model: string) => readJson<Expected>(`expected/${model}.json`);

/** The text or the pair of a case, by its id. */
export function readInputs(): Map<string, { first: string; second?: string }> {
  const texts = readJson<{ id: string; text: string }[]>('texts/texts.json');
  const pairs = readJson<{ id: string; first: string; second: string }[]>('texts/pairs.json');
  return new Map<string, { first: string; second?: string }>([
    ...texts.map(({ id, text }) => [id, { first: text }] as const),
    ...pairs.map(({ id, first, second }) => [id, { first, second }] as const),
  ]);
}
