import type { RequestContext } from '../../http/request-context.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Metrics, ModelRecorder } from '../../telemetry/metrics/metrics.ts';
import type { JsonObject } from '../../tensor/json/reader.ts';
import type { BodyReader } from '../body-reader.ts';
import { modelOf } from '../model-address.ts';
import { requireObject } from '../texts/fields.ts';

/** What the routes of text-embeddings-inference need. */
export interface TextEmbeddingsOptions {
  readonly repository: Repository;
  readonly parser: Pick<BodyReader, 'parse'>;
  readonly metrics: Metrics;
  /** Most bytes of a body. */
  readonly maxBodyBytes: number;
  /** Whether models run on a GPU. */
  readonly onGpu: boolean;
  readonly maxQueueSize: number;
  /** The most rows of a run. */
  readonly maxBatchSize: number;
  /** The most tokens of a run. */
  readonly maxBatchTokens: number;
}

/** A request whose body has been read. */
export interface TextRequest {
  readonly context: RequestContext;
  readonly body: JsonObject;
  /** Held until the request is done. */
  readonly live: Generation;
  readonly recorder: ModelRecorder;
  /** The value of `x-compute-type`. */
  readonly computeType: string;
}

/** The value of `x-compute-type`, in the words of text-embeddings-inference. */
export const computeTypeOf = ({ onGpu }: Pick<TextEmbeddingsOptions, 'onGpu'>): string =>
  onGpu ? 'gpu+optimized' : 'cpu';

/** Makes the handler of a route that takes texts: it reads the body, and holds the model while `respond` runs. */
export function createTextHandler(
  options: TextEmbeddingsOptions,
  respond: (request: TextRequest) => Promise<void>,
): (context: RequestContext, bytes: Buffer) => Promise<void> {
  const { repository, parser, metrics } = options;
  const computeType = computeTypeOf(options);
  return async (context, bytes) => {
    const model = await modelOf(repository, context);
    const live = model.live() ?? (await model.whenLive());
    live.hold();
    try {
      const body = requireObject(await parser.parse(bytes, context));
      await respond({ context, body, live, recorder: metrics.model(live.name), computeType });
    } finally {
      live.release();
    }
  };
}
