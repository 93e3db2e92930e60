import { ServingError } from '../../errors.ts';
import type { RowDecoder, RowFeeds } from '../../model/folder/rows.ts';
import { describe } from '../../tensor/fill.ts';
import { isArray, isObject, readJson } from '../../tensor/json/reader.ts';
import { type Instances, readInstances } from '../instances/instances.ts';
import { readPredictBody } from '../native/prediction.ts';
import { type InferRequest, readInferText } from '../open-inference/request.ts';

const NONE = new Uint8Array(0);

/** A body of the predict route, decoded. Plain data: it may come from another thread. */
export type VertexBody =
  | { readonly form: 'instances'; readonly instances: Instances }
  | { readonly form: 'infer'; readonly request: InferRequest }
  | { readonly form: 'features'; readonly feeds: RowFeeds };

/**
 * Decodes a body in the dialect that its keys show: `instances` is Vertex AI's, `{"instances": […], "parameters"?}`; a list of
 * `inputs` is the Open Inference Protocol's, and `features` this server's, both of which arrive by raw predict. `parameters` and
 * other keys next to `instances` are ignored.
 * @param maxValues as for `readJson`.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readVertexBody(bytes: Uint8Array, rows: RowDecoder, maxValues?: number): VertexBody {
  const body = readJson(bytes, 0, bytes.length, maxValues);
  if (isObject(body)) {
    if (body.instances !== undefined) return { form: 'instances', instances: readInstances(body.instances, rows) };
    if (isArray(body.inputs)) {
      return { form: 'infer', request: readInferText(body, rows.form.signature, NONE) };
    }
    if (body.features !== undefined) return { form: 'features', feeds: readPredictBody(body, { rows }) };
  }
  const given = isObject(body) ? 'an object without them' : describe(body);
  const message = `the body: expected {"instances": [row, …]}, {"inputs": [tensor, …]} of the Open Inference Protocol, or {"features": …}, got ${given}`;
  throw new ServingError('INVALID_INPUT', message);
}
