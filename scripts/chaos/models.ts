import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestBytes } from '../../functions/cli/loadtest/http/request.ts';
import { DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { graph, initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import { BENCH_MODELS } from '../bench-models.ts';
import { IDENTITY, SLOW, writeFixture } from '../conformance/fixture.ts';
import type { MakeWork } from './clients/load.ts';

const ROOT = join(import.meta.dirname, '../..');

/** `y` = `x`, FP32 [N,2]. */
export const ECHO = IDENTITY.FP32;
/** `y` = `x`, FP32 [N,1], after a thousand steps of a loop for each unit of `x`. */
export { SLOW };
export const IRIS = 'iris';
/** A convolution net of about 50 ms a run, for an input of [1,3,32,32]. */
export const CONVOLUTION = 'conv-small';
/** `y` FP32 [N,{@link WIDTH}] = `x` [N,1] in each element: a response of some 33 MB for a row of a few bytes. */
export const WIDE = 'wide';
const WIDTH = 1_500_000;
/** The same with a response of some 90 kB. */
export const HALF_WIDE = 'half-wide';
const HALF_WIDTH = 4096;
/** {@link SLOW} with a load of some seconds. */
export const HEAVY = 'heavy';
/** Copies of {@link ECHO}: `m0`, `m1`, … */
export const COPIES = 40;

/** A row of {@link WIDE} and {@link HALF_WIDE} whose every value takes eleven bytes of JSON, once as prediction and once as output. */
export const WIDE_ROW = '{"features":[0.12345678]}';
/** A row of {@link SLOW} and {@link HEAVY} whose run ends only with its process. */
export const ENDLESS_ROW = '{"features":[1e12]}';

/** Writes `<folder>/<name>/1/model.onnx` for each model. @param loadSteps steps of the load of {@link HEAVY}, some 0.5 s each */
export function writeChaosModels(folder: string, loadSteps: number): void {
  writeFixture(folder);
  mkdirSync(join(folder, IRIS));
  cpSync(join(ROOT, 'models', IRIS), join(folder, IRIS, '1'), { recursive: true });
  write(folder, CONVOLUTION, BENCH_MODELS.find(({ name }) => name === CONVOLUTION)!.bytes());
  write(folder, WIDE, wide(WIDTH));
  write(folder, HALF_WIDE, wide(HALF_WIDTH));
  write(folder, HEAVY, heavy(loadSteps));
}

/** Writes {@link COPIES} models into a repository of their own. */
export function writeCopies(folder: string, from: string): void {
  for (let i = 0; i < COPIES; i++) cpSync(join(from, ECHO), join(folder, `m${i}`), { recursive: true });
}

function write(folder: string, name: string, bytes: Uint8Array): void {
  mkdirSync(join(folder, name, '1'), { recursive: true });
  writeFileSync(join(folder, name, '1', 'model.onnx'), bytes);
}

function wide(width: number): Uint8Array {
  return model({
    name: WIDE,
    nodes: [node('Expand', ['x', 'shape'], ['y'])],
    initializers: [initializer('shape', 'int64', [2], BigInt64Array.of(1n, BigInt(width)))],
    inputs: [value('x', 'float32', ['N', 1])],
    outputs: [value('y', 'float32', ['N', width])],
  });
}

const SIDE = 2048;

/** Adds to `x` a product of zeros that onnxruntime computes when it loads the model; then as many steps of a loop as `x` says. */
function heavy(steps: number): Uint8Array {
  const body = graph({
    name: 'step',
    nodes: [node('Identity', ['go_on'], ['go_on_too']), node('Identity', ['state'], ['next'])],
    inputs: [value('step', 'int64', []), value('go_on', 'bool', []), value('state', 'float32', ['N', 1])],
    outputs: [value('go_on_too', 'bool', []), value('next', 'float32', ['N', 1])],
  });
  const products = Array.from({ length: steps }, (_, i) => node('MatMul', [`p${i}`, 'p0'], [`p${i + 1}`]));
  return model({
    name: HEAVY,
    nodes: [
      node('ConstantOfShape', ['side'], ['p0']),
      ...products,
      node('ReduceMax', [`p${steps}`], ['none'], { keepdims: 0n }),
      node('Add', ['x', 'none'], ['same']),
      node('ReduceMax', ['same'], ['most'], { keepdims: 0n }),
      node('Cast', ['most'], ['steps'], { to: BigInt(DATA_TYPES.int64) }),
      node('Loop', ['steps', '', 'same'], ['y'], { body }),
    ],
    initializers: [initializer('side', 'int64', [2], BigInt64Array.of(BigInt(SIDE), BigInt(SIDE)))],
    inputs: [value('x', 'float32', ['N', 1])],
    outputs: [value('y', 'float32', ['N', 1])],
  });
}

/** The body of a `/predict`, with a path and further header lines. */
const post = (path: string, body: string, fields: readonly string[] = []): Buffer =>
  requestBytes('POST', path, body, fields);

const READ_PREDICTION = /^\{"prediction":(\[[^\]]*\]|[^,]*),/;

/** Rows of {@link ECHO}, each with values of its own, so that a response to another row is recognized. */
export function echoWork(path = '/predict', fields: readonly string[] = []): MakeWork {
  return (number) => {
    // Integers below 2^24 are exact in float32.
    const expected = `[${number % 2 ** 23},${(number * 7919) % 2 ** 23}]`;
    return {
      request: post(path, `{"features":${expected}}`, fields),
      isRight: (text) => READ_PREDICTION.exec(text)?.[1] === expected,
    };
  };
}

/** Rows of {@link SLOW} and {@link HEAVY} that take no steps to speak of. */
export function slowWork(path = '/predict'): MakeWork {
  return (number) => {
    const expected = -1 - (number % 2 ** 23);
    return {
      request: post(path, `{"features":[${expected}]}`),
      isRight: (text) => READ_PREDICTION.exec(text)?.[1] === `[${expected}]`,
    };
  };
}

/** The same row each time; the response has to be that of `known`, if it is given. */
export function sameWork(path: string, body: string, fields: readonly string[] = [], known?: string): MakeWork {
  const work = { request: post(path, body, fields), isRight: (text: string) => known === undefined || text === known };
  return () => work;
}

export const IRIS_ROW = '{"features":[5.1,3.5,1.4,0.2]}';

/** A row of {@link CONVOLUTION}. */
export function convolutionRow(): string {
  const plane = Array.from({ length: 32 }, (_, y) => Array.from({ length: 32 }, (_, x) => ((x * y) % 10) / 10));
  return JSON.stringify({ features: [plane, plane, plane] });
}
