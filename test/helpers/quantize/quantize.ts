import { readFileSync } from 'node:fs';
import type { Mode, ModeReport } from '../../../functions/cli/quantize/mode.ts';
import { openSession, type Session } from '../../../functions/engine/process/session.ts';
import { openModel } from '../../../functions/onnx/edit/open-model.ts';
import { writeModel } from '../../../functions/onnx/edit/write-model.ts';
import type { GraphProto, ModelProto, NodeProto } from '../../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { type Tensor, valuesOf } from '../../../functions/tensor/tensor.ts';
import { tempFiles } from '../temp-file.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';

/** A model that a mode has changed, and what the file has. */
export interface Quantized {
  readonly proto: ModelProto;
  readonly graph: GraphProto;
  readonly report: ModeReport;
  readonly path: string;
  readonly original: string;
}

/** Quantizes models in a folder of the test. @param prefix of the folder's name */
export function createQuantizer(prefix: string) {
  const file = tempFiles(prefix);
  let count = 0;
  return async (
    bytes: Uint8Array,
    mode: Mode,
    isSelected: (node: NodeProto) => boolean = () => true,
  ): Promise<Quantized> => {
    const original = file(`${count++}.onnx`, bytes);
    const path = original.replace('.onnx', `.${mode.name}.onnx`);
    const model = openModel(original);
    const report = await mode.run(model, { isSelected }, () => {});
    await writeModel(model, path);
    const proto = readModel(readFileSync(path), path);
    return { proto, graph: proto.graph!, report, path, original };
  };
}

/** The nodes of a graph as `name: Operator(inputs) -> outputs`. */
export function linesOf({ node: nodes }: Pick<GraphProto, 'node'>): string[] {
  return nodes.map(
    ({ name, opType, input, output }) => `${name || '-'}: ${opType}(${input.join(', ')}) -> ${output.join(', ')}`,
  );
}

/** The initializers of a graph as `name: type [dims]`; the type is a number of `TensorProto.DataType`. */
export function weightsOf({ initializer }: Pick<GraphProto, 'initializer'>): string[] {
  return initializer.map(({ name, dataType, dims }) => `${name}: ${dataType} [${dims}]`).sort();
}

/** Opens a model as the server does. */
export function open(path: string): Promise<Session> {
  return openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] });
}

/** The largest difference of each output of both models, relative to its largest magnitude. */
export async function differences(
  { original, path }: Pick<Quantized, 'original' | 'path'>,
  feeds: readonly Tensor[],
): Promise<number[]> {
  const inputs = feeds.map((tensor, slot) => ({ ...tensor, slot }));
  const [expected, got] = await Promise.all([original, path].map(async (one) => (await open(one)).run(inputs)));
  return expected!.map((tensor, i) => {
    const [a, b] = [Array.from(valuesOf(tensor), Number), Array.from(valuesOf(got![i]!), Number)];
    const scale = Math.max(...a.map(Math.abs), 1e-6);
    return Math.max(...a.map((value, at) => Math.abs(value - b[at]!) / scale), a.length === b.length ? 0 : 1);
  });
}

/** Numbers that look random, the same each time. */
export function wave(count: number, scale = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => scale * Math.sin(i * 12.9898 + 4.1));
}

/** A float32 tensor of such numbers. */
export function floats(...dims: number[]): Tensor {
  return { dtype: 'float32', dims, data: wave(dims.reduce((total, size) => total * size, 1)) };
}
