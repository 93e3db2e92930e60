/**
 * The tensors between the serving process and the processes that tokenize texts, by slot. N: rows, L: the tokens of the
 * longest.
 *
 *   request   0 terms   int32 [N, 2]      the most tokens of the row; its {@link MODE}
 *             1 first   string [N]
 *             2 second  string [N]        absent if rows are single texts
 *   result    0 ids     int32 [N, L]      token ids, then zeros
 *             1 types   uint8 [N, L]      token type ids, then zeros
 *             2 lengths int32 [N, 2]      tokens; tokens before truncation
 *             3 tokens  string [N]        JSON of {@link TokenizedText} if the mode is `places`, else empty
 *
 * The entities of a text are found where its tokens are:
 *
 *   request   0 terms   int32 [N, 2]
 *             1 first   string [N]
 *             2 logits  float32 [N, T, C]  of the row's tokens and padding; C labels
 *   result    0 entities string [N]        JSON of an array of `Entity`
 */
export const MODE = { ids: 0, places: 1 } as const;

/** The tokens of a text, with their places. */
export interface TokenizedText {
  readonly ids: readonly number[];
  /** As the vocabulary spells them. */
  readonly tokens: readonly string[];
  /** The first character of each token and the one behind its last, in code points of the text; 0 and 0 if it is special. */
  readonly offsets: readonly (readonly [start: number, end: number])[];
  /** Whether a token is a special one that the model needs. */
  readonly special: readonly boolean[];
}

/** What a process has that tokenizes texts: the body of the frame with which it answers a load order. */
export interface LoadedTokenizer {
  /** Ids are below it. */
  readonly vocabularySize: number;
}
