import type { ModelMetadata, ServerMetadata } from '../../clients/typescript/src/client.ts';
import { type Context, Unproven } from './check.ts';
import { expectJson, type JsonObject, parseObject } from './expect.ts';
import { PAIR } from './fixture.ts';
import { exchange, type Sent } from './http.ts';
import type { Startup } from './startup.ts';

export interface Target {
  readonly url: string;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly model: string | undefined;
  readonly fixture: boolean;
  readonly pid: number | undefined;
  readonly limitBytes: number | undefined;
  readonly startup: Startup | undefined;
  /** Longest wait for a response, in milliseconds. */
  readonly timeoutMs: number;
}

/** @param onSend called with every request, before it is sent */
export function createContext(target: Target, onSend: (sent: Sent) => void): Context {
  const { url, headers, fixture, pid, limitBytes, startup, timeoutMs } = target;
  const send: Context['send'] = (sent) => {
    onSend(sent);
    return exchange(url, { ...sent, headers: { ...headers, ...sent.headers } }, sent.timeoutMs ?? timeoutMs);
  };
  const server = once(async () => expectJson(await send({ method: 'GET', path: '/v2' })) as unknown as ServerMetadata);
  const model = once(async () => {
    const name = fixture ? PAIR : (target.model ?? (await findModel(send)));
    return (await metadata(name)) as unknown as ModelMetadata;
  });

  async function metadata(name: string): Promise<JsonObject> {
    const path = `/v2/models/${encodeURIComponent(name)}`;
    const first = await send({ method: 'GET', path });
    if (first.status !== 503) return expectJson(first);
    await send({ method: 'POST', path: `${path}/infer`, body: '{"inputs":[]}' });
    return expectJson(await send({ method: 'GET', path }));
  }

  const hasBinary = async (): Promise<boolean> =>
    (await server()).extensions?.includes?.('binary_tensor_data') === true;
  return { url, send, model, metadata, server, hasBinary, fixture, startup, pid, limitBytes };
}

/** The names of the models, of a server that lists them: KServe at `GET /v2/models`, Triton and MLServer at `POST /v2/repository/index`. */
async function findModel(send: Context['send']): Promise<string> {
  const listed = await send({ method: 'GET', path: '/v2/models' });
  const indexed = await send({ method: 'POST', path: '/v2/repository/index', body: '{}' });
  const lists = [
    listed.status === 200 ? parseObject(listed.text).models : undefined,
    indexed.status === 200 ? (JSON.parse(indexed.text) as unknown) : undefined,
  ];
  for (const list of lists) {
    const [first] = Array.isArray(list) ? (list as unknown[]) : [];
    const name = typeof first === 'string' ? first : (first as { name?: unknown } | undefined)?.name;
    if (typeof name === 'string') return name;
  }
  throw new Unproven('the server lists no models: --model NAME, or --fixture');
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
