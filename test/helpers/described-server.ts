import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { serve } from './serve.ts';

/** A request that a server of {@link serveDescribed} got. */
export interface Got {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

const MODEL = {
  name: 'iris',
  version: '1',
  inputs: [{ name: 'features', dtype: 'float32', shape: [-1, 4] }],
  outputs: [{ name: 'label', dtype: 'int64', shape: [-1] }],
  features: ['a', 'b', 'c', 'd'],
  batching: true,
  example: { features: [5.1, 3.5, 1.4, 0.2] },
};

/** The routes that describe a model, as those of the server. */
const DESCRIPTION: Readonly<Record<string, object>> = {
  '/ready': { status: 'ready', model: { name: 'iris', version: '1' } },
  '/models/iris/examples': { model: MODEL, examples: [{ features: [1, 2, 3, 4], outputs: { label: 2 } }] },
  '/openapi.json': { paths: { '/vertex/predict': { post: { tags: ['Vertex AI'] } } } },
};

/** A server on loopback that describes a model, and responds to predictions with a fixed body. @returns also what it got, predictions apart */
export async function serveDescribed(
  t: TestContext,
  predict: (got: Got, res: ServerResponse, nth: number) => void = (_, res) => void res.end('{"outputs":{"label":2}}'),
  description: Readonly<Record<string, object>> = {},
): Promise<{ url: string; port: number; described: Got[]; predicted: Got[] }> {
  const [described, predicted]: Got[][] = [[], []];
  const known = { ...DESCRIPTION, ...description };
  const { url, port } = await serve(t, async (req, res) => {
    const [path, method] = [req.url ?? '', req.method ?? ''];
    const got = { method, path, headers: req.headers, body: Buffer.concat(await req.toArray()) };
    if (method === 'GET') {
      described!.push(got);
      const body = known[path];
      if (body === undefined) res.writeHead(404).end('{}');
      else res.end(JSON.stringify(body));
      return;
    }
    predicted!.push(got);
    predict(got, res, predicted!.length - 1);
  });
  return { url, port, described: described!, predicted: predicted! };
}
