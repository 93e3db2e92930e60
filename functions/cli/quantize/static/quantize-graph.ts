import { createNames, removeUnusedInitializers, scopesOf, type Uses, usesIn } from '../../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../../onnx/edit/open-model.ts';
import { node } from '../../../onnx/proto/build.ts';
import type { InitializerType } from '../../../onnx/proto/initializer.ts';
import type { NodeProto, TensorProto } from '../../../onnx/proto/onnx_pb.ts';
import type { QuantizedDtype } from '../kernels/linear.ts';
import { addInitializer } from '../weights.ts';
import { leastScales, type NamedBias, quantizeBias } from './bias.ts';
import { constantsOf, readFloats } from './constants.ts';
import type { Range } from './histogram.ts';
import { type Plan, scaleOwner } from './plan.ts';
import { parametersOfRange, quantizeConstant, type Scales } from './scales.ts';

/** How values and weights are stored. */
export interface QuantizationOptions {
  /** Of the values between nodes, with a zero point. Weights are int8, without. */
  readonly activations: QuantizedDtype;
  /** 7 bits for weights. */
  readonly isReduced: boolean;
  /** The range of each value that has a scale of its own. */
  readonly ranges: ReadonlyMap<string, Range>;
  /** Called with the number of constants that are quantized, and that of all. */
  readonly progress: (done: number, total: number) => void;
}

/** Scales and zero points in the graph. */
interface Parameters extends Scales {
  /** Names of the initializers. */
  readonly scaleName: string;
  readonly zeroPointName: string;
}

/**
 * Quantizes a graph by a plan, in place: each marked value goes through a QuantizeLinear and a DequantizeLinear, each marked constant is
 * stored as int8 behind a DequantizeLinear, biases as int32. onnxruntime replaces operators between such pairs by those on integers. The
 * names are those of onnxruntime's Python tools, `x_QuantizeLinear` and so on.
 * @returns the values and constants that stay, because they are not finite or were not seen
 */
export async function quantizeGraph(model: EditableModel, plan: Plan, options: QuantizationOptions): Promise<string[]> {
  const quantizer = new GraphQuantizer(model, plan, options);
  await quantizer.quantizeConstants();
  await quantizer.quantizeBiases();
  quantizer.quantizeActivations();
  removeUnusedInitializers(model.proto);
  return quantizer.skipped;
}

class GraphQuantizer {
  /** Values and constants that have no scale. */
  readonly skipped: string[] = [];
  readonly #model: EditableModel;
  readonly #plan: Plan;
  readonly #options: QuantizationOptions;
  readonly #constants: ReadonlyMap<string, TensorProto>;
  readonly #biases: readonly NamedBias[];
  readonly #uses: Uses;
  readonly #name: (base: string) => string;
  /** By the value or the constant that owns them. */
  readonly #parameters = new Map<string, Parameters>();
  /** Nodes that read constants alone. */
  readonly #first: NodeProto[] = [];

  constructor(model: EditableModel, plan: Plan, options: QuantizationOptions) {
    this.#model = model;
    this.#plan = plan;
    this.#options = options;
    this.#constants = constantsOf(model);
    this.#biases = plan.biases.map((bias) => ({ ...bias, name: bias.node.input[bias.at]! }));
    this.#name = createNames(model.proto);
    for (const [value, { sameAs, range = options.ranges.get(value) }] of plan.activations) {
      if (sameAs !== undefined) continue;
      if (range === undefined) this.skipped.push(value);
      else this.#addParameters(value, parametersOfRange(range, options.activations), []);
    }
    this.#fold();
    const [main] = scopesOf(model.proto);
    this.#uses = usesIn(main!);
  }

  async quantizeConstants(): Promise<void> {
    const { constants } = this.#plan;
    let done = 0;
    for (const [value, { as, axis }] of constants) {
      const tensor = this.#constants.get(value)!;
      const dims = tensor.dims.map(Number);
      const isWeight = as === 'weight';
      const quantized = quantizeConstant(await readFloats(this.#model, tensor), {
        dims,
        axis,
        dtype: isWeight ? 'int8' : this.#options.activations,
        isSymmetric: isWeight,
        isReduced: isWeight && this.#options.isReduced,
        leastScales: isWeight ? await this.#leastScales(value) : undefined,
      });
      this.#options.progress(++done, constants.size);
      if (quantized === undefined) {
        this.skipped.push(value);
        continue;
      }
      const { data, ...scales } = quantized;
      const parameters = this.#addParameters(value, scales, axis === undefined ? [] : [scales.scales.length]);
      const stored = this.#addInitializer(`${value}_quantized`, scales.dtype, dims, data);
      const output = this.#dequantize(value, stored, parameters, axis);
      for (const { node: reader, input } of this.#uses.of(value)) reader.input[input] = output;
    }
  }

  /** The smallest scales of a weight with which its biases are int32. */
  async #leastScales(weight: string): Promise<Float32Array | undefined> {
    const bias = this.#biases.find((one) => one.weight === weight);
    const input = bias && this.#parameters.get(scaleOwner(this.#plan, bias.input));
    return input && leastScales(bias, input.scales[0]!, await this.#readBias(bias));
  }

  async quantizeBiases(): Promise<void> {
    for (const bias of this.#biases) {
      const input = this.#parameters.get(scaleOwner(this.#plan, bias.input));
      const weight = this.#parameters.get(bias.weight);
      const { dims } = this.#constants.get(bias.name)!;
      const quantized =
        input && weight && quantizeBias(bias, input.scales[0]!, weight.scales, await this.#readBias(bias), dims.length);
      if (quantized === undefined) continue;
      const { data, scales } = quantized;
      const stored = this.#addInitializer(`${bias.name}_quantized`, 'int32', dims.map(Number), data);
      const shape = scales.length > 1 ? [scales.length] : [];
      const parameters = {
        scaleName: this.#addInitializer(`${stored}_scale`, 'float32', shape, scales),
        zeroPointName: this.#addInitializer(`${stored}_zero_point`, 'int32', shape, new Int32Array(scales.length)),
      };
      const output = this.#dequantize(bias.name, stored, parameters, scales.length > 1 ? 0 : undefined);
      bias.node.input[bias.at] = output;
      bias.node.attribute = bias.node.attribute.filter(({ name }) => name !== 'beta');
    }
  }

  #readBias({ name }: NamedBias): Promise<Float32Array> {
    return readFloats(this.#model, this.#constants.get(name)!);
  }

  /** Puts a QuantizeLinear and a DequantizeLinear behind each marked value, in the order of the nodes. */
  quantizeActivations(): void {
    const { graph } = this.#model;
    const returned = new Set(graph.output.map(({ name }) => name));
    const nodes = [...this.#first, ...graph.input.flatMap(({ name }) => this.#pair(name, undefined))];
    for (const one of graph.node) {
      nodes.push(one);
      for (const value of [...one.output]) nodes.push(...this.#pair(value, returned.has(value) ? one : undefined));
    }
    graph.node = nodes;
  }

  /** @param producer of a value that is an output of the graph: it gets another output, because the name is that of the dequantized value */
  #pair(value: string, producer: NodeProto | undefined): NodeProto[] {
    if (!this.#plan.activations.has(value)) return [];
    const parameters = this.#parameters.get(scaleOwner(this.#plan, value));
    if (parameters === undefined) return [];
    let [from, to] = [value, value];
    if (producer === undefined) {
      to = this.#name(`${value}_DequantizeLinear_Output`);
      for (const { node: reader, input } of this.#uses.of(value)) reader.input[input] = to;
    } else {
      from = this.#name(`${value}_QuantizeLinear_Input`);
      producer.output[producer.output.indexOf(value)] = from;
    }
    const quantized = this.#name(`${value}_QuantizeLinear_Output`);
    const { scaleName, zeroPointName } = parameters;
    return [
      node(
        'QuantizeLinear',
        [from, scaleName, zeroPointName],
        [quantized],
        {},
        { name: this.#name(`${value}_QuantizeLinear`) },
      ),
      node(
        'DequantizeLinear',
        [quantized, scaleName, zeroPointName],
        [to],
        {},
        { name: this.#name(`${value}_DequantizeLinear`) },
      ),
    ];
  }

  /** Removes the nodes whose clipping the quantization of their output does, if that has a scale. */
  #fold(): void {
    const { graph } = this.#model;
    const producers = new Map(graph.node.flatMap((one) => one.output.map((value) => [value, one])));
    const removed = new Set<string>();
    graph.node = graph.node.filter((one) => {
      const [input, output] = [one.input[0]!, one.output[0]!];
      const producer = producers.get(input);
      if (!this.#plan.folded.has(one) || producer === undefined || !this.#parameters.has(output)) return true;
      producer.output[producer.output.indexOf(input)] = output;
      producers.set(output, producer);
      removed.add(input);
      return false;
    });
    graph.valueInfo = graph.valueInfo.filter(({ name }) => !removed.has(name));
  }

  #dequantize(
    value: string,
    stored: string,
    { scaleName, zeroPointName }: Pick<Parameters, 'scaleName' | 'zeroPointName'>,
    axis: number | undefined,
  ): string {
    const output = this.#name(`${value}_DequantizeLinear_Output`);
    const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
    const name = this.#name(`${value}_DequantizeLinear`);
    this.#first.push(node('DequantizeLinear', [stored, scaleName, zeroPointName], [output], attributes, { name }));
    return output;
  }

  #addParameters(owner: string, scales: Scales, shape: readonly number[]): Parameters {
    const parameters = {
      ...scales,
      scaleName: this.#addInitializer(`${owner}_scale`, 'float32', shape, scales.scales),
      zeroPointName: this.#addInitializer(`${owner}_zero_point`, scales.dtype, shape, scales.zeroPoints),
    };
    this.#parameters.set(owner, parameters);
    return parameters;
  }

  /** @returns its name */
  #addInitializer(base: string, dtype: InitializerType, dims: readonly number[], data: ArrayBufferView<ArrayBuffer>) {
    return addInitializer(this.#model.graph, this.#name(base), dtype, dims, data);
  }
}
