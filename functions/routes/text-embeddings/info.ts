import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { PoolingMode } from '../../text/pooling.ts';
import type { TextSettings } from '../../text/settings.ts';
import { describedAt } from '../model-address.ts';
import { SERVER } from '../open-inference/metadata.ts';
import { MAX_TEXTS } from '../texts/fields.ts';
import { requireText } from '../texts/task.ts';
import type { TextEmbeddingsOptions } from './handler.ts';

/** Names of text-embeddings-inference that differ from those of sentence-transformers (backends/core/src/lib.rs, `Pool`). */
const POOLINGS: Partial<Record<PoolingMode, string>> = { last: 'last_token' };

/** Makes the handler of `GET /info`: the model and the limits of requests (router/src/lib.rs, `Info`). */
export function createInfo({
  repository,
  maxQueueSize,
  maxBatchSize,
  maxBatchTokens,
}: Pick<TextEmbeddingsOptions, 'repository' | 'maxQueueSize' | 'maxBatchSize' | 'maxBatchTokens'>): (
  context: RequestContext,
) => Promise<void> {
  return async (context) => {
    const live = context.params.name === undefined ? await mainOf(repository) : await describedAt(repository, context);
    const settings = requireText(live);
    const info = {
      model_id: live.name,
      model_sha: null,
      model_dtype: live.signature.outputs[0]!.dtype,
      model_type: modelType(settings),
      max_concurrent_requests: maxQueueSize,
      max_input_length: settings.maxLength.value,
      max_batch_tokens: maxBatchTokens,
      max_batch_requests: maxBatchSize,
      max_client_batch_size: MAX_TEXTS,
      auto_truncate: true,
      version: SERVER.version,
    };
    sendJson(context, 200, JSON.stringify(info));
  };
}

const mainOf = async ({ main }: Repository): Promise<Generation> => main.live() ?? main.whenLive();

function modelType({ task, pooling, labels }: TextSettings): object {
  if (task?.value === 'embedding') {
    const mode = pooling?.value ?? 'mean';
    return { embedding: { pooling: POOLINGS[mode] ?? mode } };
  }
  const names = labels?.value ?? [];
  const classes = {
    id2label: Object.fromEntries(names.map((name, index) => [String(index), name])),
    label2id: Object.fromEntries(names.map((name, index) => [name, index])),
  };
  return { [task?.value === 'reranking' ? 'reranker' : 'classifier']: classes };
}
