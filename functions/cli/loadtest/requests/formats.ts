import { keyOf, stackRows } from '../../../engine/batch-rows.ts';
import { ServingError } from '../../../errors.ts';
import { DATATYPES } from '../../../routes/open-inference/datatype.ts';
import { bytesOf } from '../../../routes/open-inference/response.ts';
import { encodeFlat } from '../../../tensor/encode.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import { requestBytes } from '../http/request.ts';
import type { FormatName } from './format-names.ts';
import type { LiveModel } from './live-model.ts';
import { type Row, textOfRow } from './rows.ts';

/** A body, and the header fields that belong to it. */
interface Message {
  readonly body: Uint8Array | string;
  readonly fields: readonly string[];
}

/** A form of requests. */
export interface Format {
  readonly title: string;
  /** Where requests go, if the URL has no path. @param isMain the model is the one behind `/predict` */
  path(model: LiveModel, isMain: boolean): string;
  /** @param rows all of the same shapes; one, unless `takesRows` */
  write(rows: readonly Row[], model: LiveModel): Message;
  /** Whether a request may have several rows. */
  readonly takesRows: boolean;
}

const JSON_FIELDS = { fields: ['Content-Type: application/json'] };
const encode = encodeURIComponent;

/** The forms of requests, by the names of `--format`. */
export const FORMATS: Readonly<Record<FormatName, Format>> = {
  native: {
    title: "this server's own /predict",
    takesRows: false,
    path: ({ name }, isMain) => (isMain ? '/predict' : `/models/${encode(name)}/predict`),
    write: ([row]) => ({ body: `{"features":${row!.features}}`, ...JSON_FIELDS }),
  },
  oip: {
    title: 'the Open Inference Protocol, as JSON',
    takesRows: true,
    path: ({ name }) => `/v2/models/${encode(name)}/infer`,
    write: (rows, model) => ({ body: inferText(stack(rows), model), ...JSON_FIELDS }),
  },
  'oip-binary': {
    title: 'the Open Inference Protocol, with binary tensors',
    takesRows: true,
    path: ({ name }) => `/v2/models/${encode(name)}/infer`,
    write: (rows, model) => inferBinary(stack(rows), model),
  },
  tensorflow: {
    title: 'TensorFlow Serving',
    takesRows: true,
    path: ({ name }) => `/v1/models/${encode(name)}:predict`,
    write: (rows, model) => ({ body: instances(rows, model), ...JSON_FIELDS }),
  },
  vertex: {
    title: 'Vertex AI',
    takesRows: true,
    path({ vertexPath }) {
      if (vertexPath !== undefined) return vertexPath;
      throw new ServingError(
        'NOT_FOUND',
        'the server names no route for Vertex AI in /openapi.json: give the path in the URL, such as http://localhost:8080/vertex/predict',
      );
    },
    write: (rows, model) => ({ body: instances(rows, model), ...JSON_FIELDS }),
  },
};

/** What all requests of a load have in common. */
export interface RequestForm {
  readonly path: string;
  /** The `Host` field. */
  readonly host: string;
  /** Header fields that authorize. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rowsPerRequest: number;
}

/** The requests for rows, in their order; the last ones are filled up with the first rows. @throws ServingError if rows cannot share a request */
export function writeRequests(format: Format, rows: readonly Row[], model: LiveModel, form: RequestForm): Buffer[] {
  const { rowsPerRequest } = form;
  return Array.from({ length: Math.ceil(rows.length / rowsPerRequest) }, (_, i) => {
    const own = Array.from({ length: rowsPerRequest }, (_, j) => rows[(i * rowsPerRequest + j) % rows.length]!);
    return writeRequest(format.write(own, model), form);
  });
}

/** One request. */
export function writeRequest(
  { body, fields }: Message,
  { path, host, headers }: Omit<RequestForm, 'rowsPerRequest'>,
): Buffer {
  const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return requestBytes('POST', path, body, [...fields, ...own], host);
}

function stack(rows: readonly Row[]): readonly Tensor[] {
  const [first] = rows as [Row];
  if (rows.length === 1) return first.feeds.tensors;
  const other = rows.find(({ feeds }) => keyOf(feeds) !== keyOf(first.feeds));
  if (other !== undefined)
    throw new ServingError(
      'INVALID_INPUT',
      `${other.place}: its shapes differ from those of ${first.place}: such rows cannot share a request, leave out --batch`,
    );
  return stackRows(rows.map(({ feeds }) => feeds)).tensors;
}

function inferText(tensors: readonly Tensor[], { form }: LiveModel): string {
  const inputs = form.signature.inputs.map(({ name }, i) => {
    const tensor = tensors[i]!;
    return `{"name":${JSON.stringify(name)},"datatype":"${DATATYPES[tensor.dtype]}","shape":[${tensor.dims}],"data":${encodeFlat(tensor)}}`;
  });
  return `{"inputs":[${inputs}]}`;
}

function inferBinary(tensors: readonly Tensor[], { form }: LiveModel): Message {
  const blobs = tensors.map(bytesOf);
  const inputs = form.signature.inputs.map(({ name }, i) => {
    const { dtype, dims } = tensors[i]!;
    return `{"name":${JSON.stringify(name)},"datatype":"${DATATYPES[dtype]}","shape":[${dims}],"parameters":{"binary_data_size":${blobs[i]!.length}}}`;
  });
  const text = Buffer.from(`{"inputs":[${inputs}],"parameters":{"binary_data_output":true}}`);
  return {
    body: Buffer.concat([text, ...blobs]),
    fields: ['Content-Type: application/octet-stream', `Inference-Header-Content-Length: ${text.length}`],
  };
}

function instances(rows: readonly Row[], { form }: LiveModel): string {
  const { inputs } = form.signature;
  const texts = rows.map(({ feeds: { tensors, isRow }, place }) => {
    if (!isRow)
      throw new ServingError(
        'INVALID_INPUT',
        `${place}: it is a complete tensor, and instances are rows: use --format oip`,
      );
    const values = inputs.map((_, i) => textOfRow(tensors[i]!));
    return inputs.length === 1 ? values[0] : `{${inputs.map(({ name }, i) => `${JSON.stringify(name)}:${values[i]}`)}}`;
  });
  return `{"instances":[${texts}]}`;
}
