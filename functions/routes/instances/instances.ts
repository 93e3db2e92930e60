import { type Feeds, keyOf, stackRows } from '../../engine/batch-rows.ts';
import { ServingError } from '../../errors.ts';
import type { RowDecoder, RowFeeds } from '../../model/folder/rows.ts';
import { isBase64 } from '../../tensor/base64.ts';
import { decodeNested } from '../../tensor/decode.ts';
import type { Leaf } from '../../tensor/fill.ts';
import type { JsonValue } from '../../tensor/json/reader.ts';
import { isArray, isObject } from '../../tensor/json/reader.ts';
import { elementTypeOf, type Tensor, type TensorSpec } from '../../tensor/tensor.ts';
import { takesText, unpackText } from './base64.ts';

/** Instances of one request that may go into one run. */
export interface InstanceGroup {
  readonly feeds: Feeds;
  /** Whether each instance is one row, instead of entire tensors: see `RowFeeds`. */
  readonly isRow: boolean;
  /** The index of the instance by row of the feeds; undefined if both are the same. */
  readonly places: readonly number[] | undefined;
}

/** The `instances` of TensorFlow Serving and of Vertex AI, decoded. Plain data: it may come from another thread. */
export interface Instances {
  readonly count: number;
  readonly groups: readonly InstanceGroup[];
}

/** Most instances of a request: each takes memory and time, and the texts of all are sent as one response. */
const MAX_INSTANCES = 32_768;
/** The same if each instance is a run: a request with more would take too long. */
const MAX_LONE_INSTANCES = 4096;

/**
 * Decodes instances. Each is one row: its values; `{"features": …}`, as a body of `/predict`; or an object of inputs, or of
 * features where the manifest names them. `{"b64": …}` is accepted for a text.
 * @throws ServingError `INVALID_INPUT` with the path of the invalid value: `instances[3][2]`; also for no instance, or too many.
 */
export function readInstances(instances: JsonValue | undefined, rows: RowDecoder): Instances {
  const { signature, joinsRows } = rows.form;
  if (!isArray(instances)) throw refuse('expected an array, a row each');
  const count = instances.length;
  if (count === 0) throw refuse('expected at least one instance, got an empty array');
  const most = joinsRows ? MAX_INSTANCES : MAX_LONE_INSTANCES;
  if (count > most) {
    throw refuse(`expected at most ${most}, got ${count}: send several requests, or NDJSON to /batch_predict`);
  }
  const texts = takesText(signature);
  const only = signature.inputs.length === 1 ? signature.inputs[0]! : undefined;
  if (joinsRows && only && !only.json && (!isObject(instances[0]) || isBase64(instances[0]))) {
    const tensor = readAtOnce(texts ? unpackAll(instances, rows) : instances, only);
    if (tensor !== undefined) {
      return { count, groups: [{ feeds: { tensors: [tensor], rows: count }, isRow: true, places: undefined }] };
    }
  }
  const feeds: RowFeeds[] = [];
  for (let i = 0; i < count; i++) feeds.push(readInstance(instances[i]!, rows, `instances[${i}]`, texts));
  return { count, groups: joinsRows ? groupRows(feeds) : feeds.map((one, i) => loneOf(one, i)) };
}

const unpackAll = (instances: Leaf, rows: RowDecoder): Leaf =>
  unpackText(instances, rows.form.signature, 'instances') as Leaf;

/**
 * Decodes all rows as one tensor: decoding short rows one by one takes twenty times as long.
 * @returns undefined if the rows may be valid one by one: they have several lengths, or several forms.
 * @throws ServingError `INVALID_INPUT`.
 */
function readAtOnce(instances: Leaf, spec: TensorSpec): Tensor | undefined {
  const { shape } = spec;
  const row = shape.slice(1);
  const bare = !isArray(instances[0]) && row.every((dim) => dim === 1);
  try {
    const { dtype, dims, data } = decodeNested(instances, elementTypeOf(spec), bare ? [-1] : [-1, ...row], 'instances');
    return { dtype, dims: bare ? [...dims, ...row] : dims, data };
  } catch (error) {
    if (row.includes(-1) || isMixed(instances)) return undefined;
    throw error;
  }
}

function isMixed(instances: Leaf): boolean {
  if (instances instanceof Float64Array) return false;
  const arrays = isArray(instances[0]);
  return instances.some((one) => isObject(one) || isArray(one) !== arrays);
}

function readInstance(instance: JsonValue, rows: RowDecoder, place: string, texts: boolean): RowFeeds {
  let value = instance;
  let path = place;
  if (hasOnlyFeatures(instance)) {
    value = instance.features;
    path = `${place}.features`;
  }
  return rows.decode(texts ? unpackText(value, rows.form.signature, path) : value, path);
}

function hasOnlyFeatures(value: JsonValue): value is { features: JsonValue } {
  if (!isObject(value) || !('features' in value)) return false;
  for (const key in value) if (key !== 'features') return false;
  return true;
}

function groupRows(rows: readonly RowFeeds[]): InstanceGroup[] {
  const groups = new Map<string, { feeds: RowFeeds[]; places: number[] }>();
  for (const [place, feeds] of rows.entries()) {
    const key = keyOf(feeds);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { feeds: [feeds], places: [place] });
    else {
      group.feeds.push(feeds);
      group.places.push(place);
    }
  }
  const alike = groups.size === 1;
  return Array.from(groups.values(), ({ feeds, places }) => ({
    feeds: stackRows(feeds),
    isRow: true,
    places: alike ? undefined : places,
  }));
}

const loneOf = (feeds: RowFeeds, place: number): InstanceGroup => ({ feeds, isRow: feeds.isRow, places: [place] });

function refuse(what: string): ServingError {
  return new ServingError('INVALID_INPUT', `instances: ${what}`, { path: 'instances' });
}
