/** The process that tokenizes texts. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { devNull } from 'node:os';
import type { TextPreparation } from '../../engine/prepared/preparation.ts';
import { checkStamp } from '../../engine/process/file-stamp.ts';
import type { SlottedTensor } from '../../engine/process/frame.ts';
import { type LoadedProgram, serveFrames } from '../../engine/process/frame-loop.ts';
import { softmaxRows } from '../../tensor/activation.ts';
import { type Aggregation, findEntities } from '../../text/entities.ts';
import { type EncodedText, type TextInput, TextTokenizer } from '../../text/tokenizer.ts';
import { type LoadedTokenizer, MODE, type TokenizedText } from './text-frames.ts';

/** Of a model whose files do not say it. */
const DEFAULT_AGGREGATION: Aggregation = 'simple';

/** The row of a request, and what is wanted of it. */
interface Row extends TextInput {
  readonly mode: number;
}

/** @throws StampError if it is not the file that was listed */
function readTokenizer({ tokenizer, stamp }: TextPreparation): string {
  if (stamp !== undefined) checkStamp(tokenizer, stamp);
  const text = readFileSync(tokenizer, 'utf8');
  if (stamp !== undefined) checkStamp(tokenizer, stamp);
  return text;
}

async function load(preparation: TextPreparation): Promise<LoadedProgram> {
  const { settings, place, specialNames } = preparation;
  const tokenizer = await TextTokenizer.load(readTokenizer(preparation), {
    file: place,
    maxLength: settings.maxLength.value,
    truncationSide: settings.truncationSide.value,
    specialNames,
    lowerCase: settings.lowerCase.value,
  });
  silence();
  return {
    loaded: { vocabularySize: tokenizer.vocabularySize } satisfies LoadedTokenizer,
    async run(feeds) {
      const slot = (wanted: number) => feeds.find((feed) => feed.slot === wanted);
      const last = slot(2);
      const rows = rowsOf(slot(0)!, slot(1)!, last?.dtype === 'string' ? last : undefined);
      if (last?.dtype === 'float32') return [await entitiesOf(tokenizer, preparation, rows, last)];
      return tokensOf(tokenizer, rows);
    },
  };
}

/** Ends what the process writes to the log: where the library ends it, it first writes the caller's text there. */
function silence(): void {
  closeSync(2);
  // The lowest free number is 2. For reading, as the process may write no file: what is written to it is lost.
  openSync(devNull, 'r');
}

function rowsOf(terms: SlottedTensor, first: SlottedTensor, second: SlottedTensor | undefined): Row[] {
  const values = terms.data as Int32Array;
  return (first.data as string[]).map((text, row) => ({
    first: text,
    second: (second?.data as string[] | undefined)?.[row],
    maxLength: values[2 * row],
    mode: values[2 * row + 1]!,
  }));
}

async function tokensOf(tokenizer: TextTokenizer, rows: readonly Row[]): Promise<SlottedTensor[]> {
  const plain = rows.filter(({ mode }) => mode === MODE.ids);
  const placed = rows.filter(({ mode }) => mode === MODE.places);
  const encoded = [
    await tokenizer.encode(plain),
    placed.length === 0 ? [] : await tokenizer.encode(placed, { places: true }),
  ] as const;
  const next = [0, 0];
  const width = encoded[0].reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const ids = new Int32Array(rows.length * width);
  const types = new Uint8Array(rows.length * width);
  const lengths = new Int32Array(rows.length * 2);
  const tokens = new Array<string>(rows.length).fill('');
  for (const [row, { mode }] of rows.entries()) {
    const one = encoded[mode]![next[mode]!++]!;
    lengths.set([one.ids.length, one.untruncatedLength], 2 * row);
    if (mode === MODE.places) tokens[row] = JSON.stringify(tokenizedOf(one as Required<EncodedText>));
    else {
      ids.set(one.ids, row * width);
      types.set(one.typeIds, row * width);
    }
  }
  return [
    { slot: 0, dtype: 'int32', dims: [rows.length, width], data: ids },
    { slot: 1, dtype: 'uint8', dims: [rows.length, width], data: types },
    { slot: 2, dtype: 'int32', dims: [rows.length, 2], data: lengths },
    { slot: 3, dtype: 'string', dims: [rows.length], data: tokens },
  ];
}

function tokenizedOf({ ids, places }: Required<EncodedText>): TokenizedText {
  const { tokens, offsets, special } = places;
  return {
    ids: [...ids],
    tokens,
    offsets: tokens.map((_, i) => [offsets[2 * i]!, offsets[2 * i + 1]!]),
    special: Array.from(special, (flag) => flag === 1),
  };
}

async function entitiesOf(
  tokenizer: TextTokenizer,
  { settings, aggregation = DEFAULT_AGGREGATION }: TextPreparation,
  rows: readonly Row[],
  { dims, data }: SlottedTensor,
): Promise<SlottedTensor> {
  const [, padded, count] = dims as [number, number, number];
  const labels = settings.labels?.value ?? Array.from({ length: count }, (_, i) => `LABEL_${i}`);
  const encoded = await tokenizer.encode(rows, { places: true });
  const entities = encoded.map((one, row) => {
    const from = row * padded * count;
    const logits = (data as Float32Array).slice(from, from + one.ids.length * count);
    const found = findEntities(rows[row]!.first, one as Required<EncodedText>, softmaxRows(logits, count), {
      aggregation,
      labels,
      continuingPrefix: tokenizer.continuingPrefix,
      unknownId: tokenizer.unknownId,
      join: (tokens) => tokenizer.join(tokens),
    });
    return JSON.stringify(found);
  });
  return { slot: 0, dtype: 'string', dims: [rows.length], data: entities };
}

// One thread: a text takes tens of microseconds, and the CPUs are those of the engine processes.
process.env.RAYON_NUM_THREADS = '1';
await serveFrames((order) => load(order as TextPreparation));
