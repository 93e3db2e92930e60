import { setImmediate as turn } from 'node:timers/promises';
import { DATA_TYPES } from '../../../../onnx/data-type.ts';
import { createNames, type Scope, scopesOf, usesIn } from '../../../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../../../onnx/edit/open-model.ts';
import { bytesOfTensor, readChunks, setTensor } from '../../../../onnx/edit/tensor-data.ts';
import type { NodeProto, TensorProto } from '../../../../onnx/proto/onnx_pb.ts';
import { listNames } from '../../../../shorten.ts';
import { formatNumberOf } from '../../../terminal/format.ts';
import { toHalves } from '../../kernels/half.ts';
import type { Mode } from '../../mode.ts';
import { createReportBuilder, type ReportBuilder } from '../../report.ts';
import { raiseIrVersion, refuseQuantized } from '../../versions.ts';
import { convertGraph } from './convert-graph.ts';
import { isFloat32Input, isFloat32Operator } from './float32-operators.ts';
import { inferTypes, type ValueTypes } from './value-types.ts';

export interface Float16Options {
  /** Whether inputs and outputs stay float32: a Cast is after each input, and before each output. */
  readonly keepsIo: boolean;
}

/** Values and weights as float16, as `convert_float_to_float16` of onnxruntime's Python tools makes them. */
export function createFloat16Mode({ keepsIo }: Float16Options): Mode {
  return {
    name: 'float16',
    async run(model, { isSelected, signal }, progress) {
      refuseQuantized(model);
      const report = createReportBuilder();
      report.note(raiseIrVersion(model));
      const { proto, graph } = model;
      const types = inferTypes(proto);
      const float32Nodes = new Set<NodeProto>();
      const scopes = [...scopesOf(proto)].filter((scope) => scope.graph !== undefined);
      for (const scope of scopes) choose(scope);
      for (const scope of scopes) keepConstants(scope, float32Nodes);
      const tensors: TensorProto[] = [];
      const onTensor = (tensor: TensorProto): void => void tensors.push(tensor);
      convertGraph(graph, { types, names: createNames(proto), float32Nodes, keepsIo, onTensor });
      report.note(dropDefaults(model, tensors));

      const total = tensors.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);
      let done = 0;
      const losses = { clamped: new Map<string, number>(), raised: new Map<string, number>() };
      for (const tensor of tensors) {
        progress('converting weights', done, total);
        done += bytesOfTensor(tensor);
        const { clamped, raised } = await convertTensor(model, tensor, signal);
        if (clamped > 0) losses.clamped.set(tensor.name || 'a constant', clamped);
        if (raised > 0) losses.raised.set(tensor.name || 'a constant', raised);
        await turn();
      }
      noteLosses(report, losses);
      return report.finish(model);

      /** Chooses the type of each node, and reports it. */
      function choose(scope: Scope): void {
        for (const node of scope.nodes) {
          const isChosen = isSelected(node);
          const isBlocked = !isChosen || isFloat32Operator(node) || isInFloat32(scope);
          if (isBlocked) float32Nodes.add(node);
          if (!isChosen || !hasFloats(node, scope, types)) continue;
          report.add(node, isBlocked ? { reason: 'it is computed in float32 alone' } : { by: node.opType });
        }
      }

      function isInFloat32({ graph: inner, outer }: Scope): boolean {
        return (
          outer?.nodes.some(
            (node) =>
              float32Nodes.has(node) && node.attribute.some(({ g, graphs }) => g === inner || graphs.includes(inner!)),
          ) === true
        );
      }
    },
  };
}

function hasFloats({ input, output }: NodeProto, { graph }: Scope, types: ValueTypes): boolean {
  return [...input, ...output].some((value) => types.of(graph!, value) === DATA_TYPES.float32);
}

/** A Constant that only nodes of float32 read keeps its digits. */
function keepConstants(scope: Scope, float32Nodes: Set<NodeProto>): void {
  const uses = usesIn(scope);
  for (const node of scope.nodes) {
    const [output = ''] = node.output;
    if (node.opType !== 'Constant' || uses.isOutput(output)) continue;
    if (uses.of(output).every((use) => float32Nodes.has(use.node) || isFloat32Input(use.node, use.input)))
      float32Nodes.add(node);
  }
}

/** The inputs of the model that were initializers' defaults: their initializers are float16 now. */
function dropDefaults({ graph }: EditableModel, tensors: readonly TensorProto[]): string | undefined {
  const converted = new Set(graph.initializer.filter((tensor) => tensors.includes(tensor)).map(({ name }) => name));
  const dropped = graph.input.filter(({ name }) => converted.has(name)).map(({ name }) => name);
  graph.input = graph.input.filter(({ name }) => !converted.has(name));
  if (dropped.length === 0) return undefined;
  return `these weights were also inputs of the model, with the weight as their default, and are constants now: ${listNames(dropped)}`;
}

async function convertTensor(model: EditableModel, tensor: TensorProto, signal: AbortSignal | undefined) {
  const count = bytesOfTensor(tensor) / 4;
  const data = new Uint16Array(count);
  let [at, clamped, raised] = [0, 0, 0];
  for await (const { buffer, byteOffset, byteLength } of readChunks(model, tensor)) {
    signal?.throwIfAborted();
    const halves = toHalves(new Float32Array(buffer, byteOffset, byteLength / 4));
    data.set(halves.data, at);
    at += halves.data.length;
    clamped += halves.clamped;
    raised += halves.raised;
  }
  setTensor(tensor, { dtype: 'float16', data: new Uint8Array(data.buffer) });
  return { clamped, raised };
}

type Losses = Readonly<Record<'clamped' | 'raised', ReadonlyMap<string, number>>>;

function noteLosses(report: ReportBuilder, { clamped, raised }: Losses): void {
  if (clamped.size > 0)
    report.note(
      `${countOf(clamped)} beyond the range of float16 became 65504 or -65504: exclude the nodes that read it`,
    );
  if (raised.size > 0) report.note(`${countOf(raised)} nearer to 0 than any float16 became the smallest one, 5.96e-8`);
}

function countOf(counts: ReadonlyMap<string, number>): string {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return `${formatNumberOf(total, 'element')} of ${listNames([...counts.keys()])}`;
}
