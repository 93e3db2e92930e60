/** Models whose position ids begin behind the id of the padding: `max_position_embeddings` counts places that no token gets. */
const POSITIONS_BEHIND_PADDING: ReadonlySet<string> = new Set([
  'camembert',
  'data2vec-text',
  'ibert',
  'longformer',
  'luke',
  'mpnet',
  'roberta',
  'roberta-prelayernorm',
  'xlm-roberta',
  'xlm-roberta-xl',
  'xmod',
]);

/** The position of a model's first token: 0, or behind the id of the padding. @param modelType `model_type` of `config.json` */
export function firstPosition(modelType: string | null | undefined, padTokenId: number | null | undefined): number {
  return POSITIONS_BEHIND_PADDING.has(modelType ?? '') ? (padTokenId ?? 0) + 1 : 0;
}
