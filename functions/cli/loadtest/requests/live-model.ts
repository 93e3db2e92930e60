import { setTimeout as sleep } from 'node:timers/promises';
import { ServingError } from '../../../errors.ts';
import type { RowForm } from '../../../model/folder/rows.ts';
import { DATATYPES } from '../../../routes/open-inference/datatype.ts';
import { isObject, type JsonObject, type JsonValue, readJson } from '../../../tensor/json/reader.ts';
import type { DType, Signature, TensorSpec } from '../../../tensor/tensor.ts';
import { get } from '../http/get.ts';
import type { Target } from '../http/target.ts';

/** A model that a server serves, as it describes it. */
export interface LiveModel {
  readonly name: string;
  readonly version: string | undefined;
  readonly form: RowForm;
  /** A valid row, in the form of the `features` of `/predict`. */
  readonly example: JsonValue | undefined;
  /** Golden rows, if the server shows some. */
  readonly golden: readonly GoldenRow[];
  /** The route of Vertex AI, if the server has one. */
  readonly vertexPath: string | undefined;
}

/** A row with the outputs that are expected, by name. */
export interface GoldenRow {
  readonly features: JsonValue;
  readonly outputs: JsonObject;
}

/** What requests of a description have. */
export interface Asking {
  readonly target: Target;
  /** Header fields that authorize. */
  readonly headers: Readonly<Record<string, string>>;
  /** Longest time for a response. */
  readonly timeoutMs: number;
  /** Longest wait until the model is loaded. */
  readonly readyMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Describes the model of a server: by its own routes, or else by those of the Open Inference Protocol, which have no examples. The model
 * is loaded first if it is the one behind `/predict`.
 * @param name of the model; undefined: the one behind `/predict`
 * @throws ServingError that names the route and what it returned; the error of the system if the server cannot be reached
 */
export async function describeLive(asking: Asking, name: string | undefined): Promise<LiveModel> {
  const known = name ?? (await nameOfMain(asking));
  const own = await request(asking, `/models/${encodeURIComponent(known)}/examples`);
  if (own.status === 404) return describeByProtocol(asking, known);
  const { model, examples } = own.json('a description of the model') as { model: JsonObject; examples?: JsonValue };
  const signature = { inputs: model.inputs, outputs: model.outputs } as unknown as Signature;
  const names = Array.isArray(model.features) ? (model.features as string[]) : undefined;
  const example = model.example as JsonObject | undefined;
  return {
    name: known,
    version: model.version as string | undefined,
    form: { signature: plain(signature), names, joinsRows: model.batching === true },
    example: example?.features,
    golden: Array.isArray(examples)
      ? (examples as unknown as GoldenRow[]).filter(({ outputs }) => isObject(outputs))
      : [],
    vertexPath: await findVertexPath(asking),
  };
}

async function nameOfMain(asking: Asking): Promise<string> {
  let ready = await request(asking, '/ready');
  const end = performance.now() + asking.readyMs;
  while (ready.status === 503 && performance.now() < end) {
    await sleep(POLL_MS, undefined, { signal: asking.signal });
    ready = await request(asking, '/ready');
  }
  if (ready.status === 404) throw notOurs(asking);
  const { model } = ready.json('"status": "ready" with the model') as { model?: JsonObject };
  if (typeof model?.name !== 'string') throw notOurs(asking);
  return model.name;
}

/** How often a server that is not ready is asked again. */
const POLL_MS = 200;

const notOurs = ({ target }: Asking): ServingError =>
  new ServingError(
    'NOT_FOUND',
    `${target.origin}/ready does not name a model: give its name with --model, or the body of the requests with --body`,
  );

/** @throws ServingError if a datatype is unknown */
async function describeByProtocol(asking: Asking, name: string): Promise<LiveModel> {
  const path = `/v2/models/${encodeURIComponent(name)}`;
  const found = await request(asking, path);
  const { inputs, outputs } = found.json('the metadata of a model') as { inputs?: JsonValue; outputs?: JsonValue };
  const specs = (value: JsonValue | undefined): TensorSpec[] =>
    (Array.isArray(value) ? (value as unknown as { name: string; datatype: string; shape: number[] }[]) : []).map(
      ({ name: tensor, datatype, shape }) => {
        const [dtype] = Object.entries(DATATYPES).find(([, known]) => known === datatype) ?? [];
        if (dtype !== undefined) return { name: tensor, dtype: dtype as DType, shape: Array.from(shape) };
        throw new ServingError('UNSUPPORTED', `${path}: ${tensor} has the unknown datatype ${datatype}`);
      },
    );
  const signature = { inputs: specs(inputs), outputs: specs(outputs) };
  const form = { signature, names: undefined, joinsRows: signature.inputs.every(({ shape }) => shape[0] === -1) };
  return { name, version: undefined, form, example: undefined, golden: [], vertexPath: undefined };
}

/** The reader gives arrays of numbers as Float64Array: shapes are arrays. */
function plain({ inputs, outputs }: Signature): Signature {
  const one = (spec: TensorSpec): TensorSpec => ({ ...spec, shape: Array.from(spec.shape) });
  return { inputs: inputs.map(one), outputs: outputs.map(one) };
}

async function findVertexPath(asking: Asking): Promise<string | undefined> {
  const document = await request(asking, '/openapi.json');
  if (document.status !== 200) return undefined;
  const { paths = {} } = document.json('an OpenAPI document') as { paths?: Record<string, JsonObject> };
  return Object.keys(paths).find((path) => {
    const { tags } = (paths[path]?.post ?? {}) as { tags?: string[] };
    return tags?.includes('Vertex AI') === true;
  });
}

interface Answer {
  readonly status: number;
  /** The object of the body. @throws ServingError for another status or body */
  json(expected: string): JsonObject;
}

async function request({ target, headers, timeoutMs, signal }: Asking, path: string): Promise<Answer> {
  const fields = { Host: target.host, Accept: 'application/json', ...headers };
  const { status, body } = await get(target.endpoint, { path, headers: fields, timeoutMs, signal });
  const place = `${target.origin}${path}`;
  return {
    status,
    json(expected) {
      if (status !== 200) throw refusal(place, status, body);
      try {
        const value = readJson(body, 0, body.length, MOST_VALUES);
        if (isObject(value)) return value;
      } catch {
        // It is not JSON: the error below says so.
      }
      const shown = JSON.stringify(body.subarray(0, 60).toString());
      throw new ServingError('UNSUPPORTED', `${place}: expected ${expected}, got ${shown}`);
    },
  };
}

/** The most values of a description: golden rows of images have many. */
const MOST_VALUES = 2 ** 24;
const SHOWN = 300;

function refusal(place: string, status: number, body: Buffer): ServingError {
  const said = body.subarray(0, SHOWN).toString().trim();
  const hint =
    status === 401 || status === 403
      ? '; give a token with --token-file, or with --identity-token for a private service of Cloud Run'
      : status >= 300 && status < 400
        ? '; redirects are not followed: give the URL to which it redirects'
        : '';
  return new ServingError('UNSUPPORTED', `${place} returned ${status}${said === '' ? '' : `: ${said}`}${hint}`);
}
