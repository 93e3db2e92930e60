import { type RequestContext, sendJson } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import type { Repository } from '../../model/repository/repository.ts';
import { toPlain } from '../../tensor/json/plain.ts';
import { describedAt } from '../model-address.ts';
import { describeModel } from '../openapi/describe-model.ts';
import { makeExamples, plainFeatures } from '../openapi/example.ts';

/**
 * `GET /models/{name}[/versions/{version}]/examples`: the description of a model, from which the page makes its form, and the
 * golden rows that it keeps. Like other descriptions, it loads no model but the one behind `/predict`.
 * @param maxBodyBytes the most bytes of a request, which the page tells before it sends a larger picture
 */
export function createExampleRoutes(repository: Repository, maxBodyBytes: number): Route[] {
  async function handle(context: RequestContext): Promise<void> {
    const live = await describedAt(repository, context);
    const model = describeModel(live, makeExamples(live));
    const examples = live.examples.map(({ features, ...rest }) => ({
      features: plainFeatures(live.signature, features),
      ...(toPlain(rest) as object),
    }));
    // Otherwise the example is made up: a picture of one pixel, or the text "a".
    const hasExample = live.manifest.example !== undefined || live.examples.length > 0;
    const facts = { has_example: hasExample, max_body_bytes: maxBodyBytes };
    sendJson(context, 200, JSON.stringify({ model, examples, ...facts }));
  }

  return [
    { method: 'GET', path: '/models/{name}/examples', handle },
    { method: 'GET', path: '/models/{name}/versions/{version}/examples', handle },
  ];
}
