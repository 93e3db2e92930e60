import { ServingError } from '../../errors.ts';
import { describe } from '../../tensor/fill.ts';
import { isObject, type JsonObject, type JsonValue } from '../../tensor/json/reader.ts';
import type { TensorSpec } from '../../tensor/tensor.ts';

/** The error for an invalid request. The message begins with the place. @param path of the place in the body; undefined for all of it. */
export function invalid(path: string | undefined, message: string): ServingError {
  return new ServingError('INVALID_INPUT', message, path === undefined ? {} : { path });
}

/** The error for a member of an extension that this server lacks: ignoring the member would give a different result, so it is 501. */
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
 * The parameters of an object of the protocol; undefined if it has none.
 * @param place of the object: `inputs[0]`, or `''` for the body itself.
 * @throws ServingError `INVALID_INPUT`; `UNSUPPORTED` for tensors in shared memory.
 */
export function readParameters({ parameters }: JsonObject, place: string): JsonObject | undefined {
  if (parameters === undefined) return undefined;
  const path = place === '' ? 'parameters' : `${place}.parameters`;
  if (!isObject(parameters)) throw invalid(path, `${path}: expected an object, got ${describe(parameters)}`);
  if (parameters.shared_memory_region !== undefined) throw unsupported(`${path}.shared_memory_region`);
  return parameters;
}

/** The index of each input or output of a signature, by name. */
export const slotsOf = (specs: readonly TensorSpec[]): ReadonlyMap<JsonValue | undefined, number> =>
  new Map(specs.map(({ name }, slot) => [name, slot]));
