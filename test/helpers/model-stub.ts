import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A server that answers the iris model's golden rows, others with no outputs, and as Google's metadata server beside it. */
export interface ModelStub {
  readonly url: string;
  /** Answers of `/ready` that are still to come before 200. */
  notReady: { status: number; body: string }[];
  /** What an answer's outputs are made into. */
  change: (outputs: Record<string, unknown>) => unknown;
  /** Whether `/ready` and `/predict` want the token that the metadata server gives for this audience. */
  audience: string | undefined;
  /** Whether the metadata server gives tokens. */
  tokens: boolean;
  /** The JSON of the model's description in the OpenAPI document. */
  description: string;
  /** The paths asked for. */
  readonly paths: string[];
  /** The bodies of `/predict`. */
  readonly bodies: string[];
  close(): Promise<void>;
}

interface Golden {
  rows: { features: unknown; outputs: Record<string, unknown> }[];
}
const GOLDEN = JSON.parse(readFileSync(new URL('../../models/iris/golden.json', import.meta.url), 'utf8')) as Golden;
const READY = '{"status":"ready","model":{"name":"iris","version":"1"}}';
const IDENTITY = '/computeMetadata/v1/instance/service-accounts/default/identity';

export async function startModelStub(): Promise<ModelStub> {
  const paths: string[] = [];
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://stub');
    paths.push(pathname);
    const end = (status: number, body: string): void => void response.writeHead(status).end(body);
    if (pathname === IDENTITY) {
      if (!stub.tokens || request.headers['metadata-flavor'] !== 'Google') return end(403, 'no getOpenIdToken');
      return end(200, `token-for-${searchParams.get('audience')}\n`);
    }
    if (stub.audience !== undefined && request.headers.authorization !== `Bearer token-for-${stub.audience}`)
      return end(403, 'your client does not have permission');
    if (pathname === '/ready') {
      const { status, body } = stub.notReady.shift() ?? { status: 200, body: READY };
      return end(status, body);
    }
    if (pathname === '/openapi.json') return end(200, `{"x-model":${stub.description}}`);
    const body = await text(request);
    bodies.push(body);
    const { features } = JSON.parse(body) as { features: unknown };
    const row = GOLDEN.rows.find((each) => JSON.stringify(each.features) === JSON.stringify(features));
    return end(200, JSON.stringify({ prediction: 0, outputs: stub.change({ ...row?.outputs }) }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stub: ModelStub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    notReady: [],
    change: (outputs) => outputs,
    audience: undefined,
    tokens: true,
    description: '{"name":"iris"}',
    paths,
    bodies,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return stub;
}
