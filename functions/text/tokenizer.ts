import type { Tokenizer as Core, Encoding } from '@anush008/tokenizers';
import { ServingError } from '../errors.ts';
import { readTemplate, type Template } from './template.ts';
import { hideSpecialTokens, parseTokenizer, type TokenizerFile } from './tokenizer-file.ts';
import { fitPair } from './truncation.ts';

/** How a tokenizer is loaded. */
export interface TokenizerOptions {
  /** The display name of `tokenizer.json`, for errors. */
  readonly file: string;
  /** The most tokens of a text or of a pair, special tokens included. */
  readonly maxLength: number;
  /** The side from which tokens are removed. Default: `right`. */
  readonly truncationSide?: 'right' | 'left';
  /**
   * What the name of a special token inside a text is, such as `[SEP]`: `text`, as the reference does with
   * `split_special_tokens=True`, or `token`, as it does by default. Default: `text`, so that callers do not add special tokens. The vocabularies of Unigram (XLM-R) have the
   * names as pieces of text too: there the reference gives the special token either way, and so does this.
   */
  readonly specialNames?: 'text' | 'token';
  /** Whether texts are put into lower case first: `do_lower_case` of `sentence_bert_config.json`. Default: false. */
  readonly lowerCase?: boolean;
}

/** A text, or a pair of texts. */
export interface TextInput {
  readonly first: string;
  readonly second?: string | undefined;
  /** The most tokens, special ones included. Default: that of the tokenizer. */
  readonly maxLength?: number | undefined;
}

/** The tokens of a text or of a pair, special tokens included, at most `maxLength`. Nothing is padded. */
export interface EncodedText {
  /** Token ids. */
  readonly ids: Int32Array;
  /** Token type ids: of BERT, 0 for the first text and 1 for the second. */
  readonly typeIds: Uint8Array;
  /** Tokens before truncation, special tokens included. Above `ids.length` if tokens were removed. */
  readonly untruncatedLength: number;
  /** Present if they were asked for. */
  readonly places?: TokenPlaces;
}

/** Where each token is in its text. */
export interface TokenPlaces {
  /** The tokens as the vocabulary spells them. */
  readonly tokens: readonly string[];
  /** The first character of a token and the one behind its last, in code points of its text: two values for each token, 0 and 0 if it is special. */
  readonly offsets: Int32Array;
  /** 1 if a token is a special one that the model needs, else 0. */
  readonly special: Uint8Array;
}

/** The tokens of one text without special tokens, before truncation. */
interface Part {
  readonly ids: readonly number[];
  /** Undefined if there is no such text. */
  readonly encoding: Encoding | undefined;
}

const NOTHING: Part = { ids: [], encoding: undefined };

/**
 * Texts to token ids, as Hugging Face's tokenizers do it: equal to the reference for every text and pair of `test/assets/refs`.
 *
 * The library is a binding of the Rust library itself, version 0.22.2. Compared on 66 reference cases, with truncation and pairs, on two cores
 * (Node 24, a WordPiece vocabulary of 30,522 entries, 600 characters a text):
 *
 * | | @anush008/tokenizers 0.6.0 | @huggingface/tokenizers 0.2.0 |
 * | --- | --- | --- |
 * | cases that differ | 0 | 2, both by the final sigma of Greek capitals in lower-case models |
 * | offsets | yes | no |
 * | installed | 4.8 MB for one platform | 0.6 MB |
 * | loading the vocabulary | 25 to 37 ms | 34 to 72 ms |
 * | 300 texts in one call | 78 to 119 ms, outside the thread that calls | 67 to 83 ms, in it |
 * | a text of 44 characters alone | 0.05 ms, most of it the change of threads | 0.03 ms |
 *
 * Truncation, pairs and special tokens are added here, from a template that is read once: the library truncates a pair by
 * making every combination of the pieces that it cuts off, which is quadratic in the length of a request.
 */
export class TextTokenizer {
  readonly #core: Core;
  readonly #template: Template;
  readonly #options: TokenizerOptions;
  readonly #added: ReadonlyMap<string, number>;
  /** What a token begins with that continues a word, such as `##`; undefined if the vocabulary has no such mark. */
  readonly continuingPrefix: string | undefined;
  /** The id of the token for what the vocabulary does not have; undefined if there is none. */
  readonly unknownId: number | undefined;
  /** Ids are below it. */
  readonly vocabularySize: number;

  private constructor(
    core: Core,
    template: Template,
    options: TokenizerOptions,
    { file, added }: { file: TokenizerFile; added: ReadonlyMap<string, number> },
  ) {
    this.#core = core;
    this.#template = template;
    this.#options = options;
    this.#added = added;
    this.continuingPrefix = file.model?.continuing_subword_prefix || undefined;
    const { unk_id: unknownId, unk_token: unknown } = file.model ?? {};
    this.unknownId = unknownId ?? (unknown == null ? undefined : this.idOf(unknown));
    this.vocabularySize = [...added.values()].reduce((most, id) => Math.max(most, id + 1), core.getVocabSize(true));
  }

  /**
   * Reads `tokenizer.json`. Truncation and padding in it are not used. This takes about 50 ms for 30,000 entries, and blocks the
   * thread meanwhile. The library ends the process at some damaged files, such as a `precompiled_charsmap` that is cut off: load
   * in a process that may end.
   * @throws ServingError `MODEL_FAILED` that names the file if it is not that of a tokenizer, or `maxLength` leaves no room for a text
   */
  static async load(json: string, options: TokenizerOptions): Promise<TextTokenizer> {
    const { Tokenizer } = await import('@anush008/tokenizers');
    const file = parseTokenizer(json, options.file);
    const added = new Map((file.added_tokens ?? []).map(({ content, id }) => [content, id]));
    delete file.truncation;
    delete file.padding;
    if (options.specialNames !== 'token') hideSpecialTokens(file);
    let core: Core;
    try {
      core = Tokenizer.fromString(JSON.stringify(file));
    } catch (cause) {
      const message = `${options.file} is not a tokenizer that this server reads: ${(cause as Error).message}`;
      throw new ServingError('MODEL_FAILED', message, { cause });
    }
    checkIds(core, file, options.file);
    const template = await readTemplate(core, options.file);
    const special = template.single.length - 1;
    if (options.maxLength <= special) {
      const message = `${options.file}: a length of at most ${options.maxLength} tokens leaves no room for a text beside ${special} special tokens`;
      throw new ServingError('MODEL_FAILED', message);
    }
    return new TextTokenizer(core, template, options, { file, added });
  }

  /** The id of a token of the vocabulary or of the added tokens, special ones included. */
  idOf(token: string): number | undefined {
    return this.#added.get(token) ?? this.#core.tokenToId(token) ?? undefined;
  }

  /** Tokens as text again: `convert_tokens_to_string` of the reference. */
  join(tokens: readonly string[]): string {
    return this.#core.getDecoder()?.decode([...tokens]) ?? tokens.join(' ');
  }

  /**
   * The tokens of each input, in order. The work is done in threads of the library; a text that occurs several times, such as
   * the query of a reranking, is done once.
   * @param options `places`: whether {@link EncodedText.places} is wanted
   * @throws ServingError `MODEL_FAILED` if the vocabulary has neither a token for a character nor an unknown token
   */
  async encode(inputs: readonly TextInput[], options: { places?: boolean } = {}): Promise<EncodedText[]> {
    const texts = new Map<string, number>();
    for (const { first, second } of inputs) {
      for (const text of [first, second]) if (text !== undefined && !texts.has(text)) texts.set(text, texts.size);
    }
    const own = [...texts.keys()].map((text) => (this.#options.lowerCase ? text.toLowerCase() : text));
    const encodings = await this.#encodeAll(own);
    const parts = encodings.map((encoding) => ({ ids: encoding.getIds(), encoding }));
    const partOf = (text: string | undefined) => (text === undefined ? NOTHING : parts[texts.get(text)!]!);
    return inputs.map(({ first, second, maxLength = this.#options.maxLength }) =>
      this.#assemble(
        second === undefined ? this.#template.single : this.#template.pair,
        [partOf(first), partOf(second)],
        maxLength,
        options.places ?? false,
      ),
    );
  }

  async #encodeAll(texts: string[]): Promise<Encoding[]> {
    try {
      return await this.#core.encodeBatch(texts, { addSpecialTokens: false });
    } catch (cause) {
      const message = `${this.#options.file} has no tokens for a text: ${(cause as Error).message}`;
      throw new ServingError('MODEL_FAILED', message, { cause });
    }
  }

  #assemble(
    template: Template['pair'],
    parts: readonly [Part, Part],
    maxLength: number,
    withPlaces: boolean,
  ): EncodedText {
    const special = template.filter((slot) => 'id' in slot).length;
    const lengths: [number, number] = [parts[0].ids.length, parts[1].ids.length];
    const kept = fitPair(lengths, Math.max(0, maxLength - special));
    const total = kept[0] + kept[1] + special;
    const ids = new Int32Array(total);
    const typeIds = new Uint8Array(total);
    const places = withPlaces ? emptyPlaces(total) : undefined;
    let at = 0;
    for (const slot of template) {
      if ('id' in slot) {
        typeIds[at] = slot.typeId;
        if (places !== undefined) {
          places.tokens[at] = slot.token;
          places.special[at] = 1;
        }
        ids[at++] = slot.id;
        continue;
      }
      const part = parts[slot.sequence];
      const length = kept[slot.sequence];
      const from = this.#options.truncationSide === 'left' ? lengths[slot.sequence] - length : 0;
      for (let i = 0; i < length; i++) ids[at + i] = part.ids[from + i]!;
      typeIds.fill(slot.typeId, at, at + length);
      if (places !== undefined && part.encoding !== undefined) copyPlaces(places, at, part.encoding, from, length);
      at += length;
    }
    const encoded = { ids, typeIds, untruncatedLength: lengths[0] + lengths[1] + special };
    return places === undefined ? encoded : { ...encoded, places };
  }
}

interface MutablePlaces extends TokenPlaces {
  readonly tokens: string[];
}

function emptyPlaces(total: number): MutablePlaces {
  const tokens = new Array<string>(total).fill('');
  return { tokens, offsets: new Int32Array(2 * total), special: new Uint8Array(total) };
}

function copyPlaces(places: MutablePlaces, at: number, encoding: Encoding, from: number, length: number): void {
  const tokens = encoding.getTokens();
  const offsets = encoding.getOffsets();
  for (let i = 0; i < length; i++) {
    places.tokens[at + i] = tokens[from + i]!;
    places.offsets.set(offsets[from + i]!, 2 * (at + i));
  }
}

/** The library numbers added tokens itself. A number other than that of the file would be a wrong token. */
function checkIds(core: Core, file: TokenizerFile, name: string): void {
  for (const [i, { id, content }] of (file.added_tokens ?? []).entries()) {
    const got = core.tokenToId(content);
    if (got === id) continue;
    const message = `${name}: added_tokens[${i}].id is ${id}, and the token gets the id ${got}: export the tokenizer again`;
    throw new ServingError('MODEL_FAILED', message);
  }
}
