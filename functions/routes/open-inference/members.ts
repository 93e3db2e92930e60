import { ServingError } from '../../errors.ts';
import { describe } from '../../tensor/fill.ts';
import type { JsonObject, JsonValue } from '../../tensor/json/reader.ts';
import type { TensorSpec } from '../../tensor/tensor.ts';
import { isObject } from '../json-checks.ts';

/** A caller's mistake. The message begins with its place, or with what it is about. */
export function invalid(path: string | undefined, message: string): ServingError {
  return new ServingError('INVALID_INPUT', message, path === undefined ? {} : { path });
}

/** For a member of an extension that this server lacks: ignoring it would give a different result, so the response is 501. */
export function unsupported(path: string): ServingError {
  return new ServingError(
    'UNSUPPORTED',
    `${path}: this server does not have that extension; GET /v2 lists those it has`,
    {
      path,
    },
  );
}

/**
 * The parameters of an object of the protocol, where it has any.
 * @param place where the object is: `inputs[0]`, or `''` for the whole body.
 * @throws ServingError `INVALID_INPUT`; `UNSUPPORTED` for tensors in shared memory.
 */
export function readParameters({ parameters }: JsonObject, place: string): JsonObject | undefined {
  if (parameters === undefined) return undefined;
  const path = place === '' ? 'parameters' : `${place}.parameters`;
  if (!isObject(parameters)) throw invalid(path, `${path}: expected an object, got ${describe(parameters)}`);
  if (parameters.shared_memory_region !== undefined) throw unsupported(`${path}.shared_memory_region`);
  return parameters;
}

/** By name, the place of each input or output of a signature. */
export const slotsOf = (specs: readonly TensorSpec[]): ReadonlyMap<JsonValue | undefined, number> =>
  new Map(specs.map(({ name }, slot) => [name, slot]));

const MAX_NAMES = 20;
const MAX_NAME = 80;

/** Names as an error shows them: not longer than what it refuses. */
export function short(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).map((name) => name.slice(0, MAX_NAME).toWellFormed());
  return shown.join(', ') + (names.length > MAX_NAMES ? ', …' : '');
}
