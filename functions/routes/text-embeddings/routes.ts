import { ServingError } from '../../errors.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import { createAdmit, modelPaths } from '../model-address.ts';
import type { PredictTexts } from '../native/predict.ts';
import { embed, similarity } from './embed.ts';
import { shapeFailure, shapeUnsupported } from './failure.ts';
import { computeTypeOf, createTextHandler, type TextEmbeddingsOptions, type TextRequest } from './handler.ts';
import { createInfo } from './info.ts';
import { predict, rerank } from './predict.ts';
import { tokenize } from './tokenize.ts';

const HANDLERS: Readonly<Record<string, (request: TextRequest) => Promise<void>>> = {
  '/embed': embed,
  '/similarity': similarity,
  '/rerank': rerank,
  '/tokenize': tokenize,
};

/**
 * The API of text-embeddings-inference (huggingface/text-embeddings-inference, router/src/http), for the model behind `/predict` and,
 * below its path, for every other: `/embed`, `/similarity`, `/rerank`, `/tokenize` and `/info`. `/predict` with `inputs` is that of
 * {@link createPredictTexts}. Embeddings of single tokens and sparse ones are `UNSUPPORTED`.
 */
export function createTextEmbeddingsRoutes(options: TextEmbeddingsOptions): Route[] {
  const { repository, maxBodyBytes } = options;
  const body = { kind: 'buffered', limit: maxBodyBytes, mediaTypes: ['application/json'] } as const;
  const admit = createAdmit(repository);
  const info = createInfo(options);
  return [
    ...Object.entries(HANDLERS).flatMap(([suffix, respond]) => {
      const handle = createTextHandler(options, respond);
      return modelPaths(suffix).map((at): Route => ({ method: 'POST', ...at, admit, body, shapeFailure, handle }));
    }),
    ...['/embed_all', '/embed_sparse'].flatMap((suffix) =>
      modelPaths(suffix).map(
        (at): Route => ({ method: 'POST', ...at, shapeFailure: shapeUnsupported, handle: () => refuse(suffix) }),
      ),
    ),
    ...modelPaths('/info').map((at): Route => ({ method: 'GET', ...at, shapeFailure, handle: info })),
  ];
}

/** Makes what responds to a body of `/predict` with `inputs`, for a model of texts. */
export function createPredictTexts(options: Pick<TextEmbeddingsOptions, 'metrics' | 'onGpu'>): PredictTexts {
  const computeType = computeTypeOf(options);
  return (context: RequestContext, body, live) => {
    context.shapeFailure = shapeFailure;
    return predict({ context, body, live, recorder: options.metrics.model(live.name), computeType });
  };
}

function refuse(suffix: string): never {
  const what = suffix === '/embed_all' ? 'embeddings of single tokens' : 'sparse embeddings';
  throw new ServingError('UNSUPPORTED', `this server has no ${what}: send texts to /embed for pooled embeddings`);
}
