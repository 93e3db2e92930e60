import { scopesOf, type Uses, usesIn } from '../../../onnx/edit/graphs.ts';
import type { EditableModel } from '../../../onnx/edit/open-model.ts';
import type { NodeProto, TensorProto } from '../../../onnx/proto/onnx_pb.ts';
import type { ModeReport } from '../mode.ts';
import { constantsOf, isOnnx, readFloats } from './constants.ts';
import type { Range } from './histogram.ts';
import { type Bias, type Marker, RULES } from './rules.ts';

/** How a value of the graph is quantized. */
export interface ActivationMark {
  /** The value or the constant whose scale it has. */
  readonly sameAs?: string;
  /** Smallest and largest value, if they are known without calibration. */
  readonly range?: Range;
}

/** How a constant is quantized: as a weight, symmetrically; or as values are, in an operator that treats both alike. */
export interface ConstantMark {
  readonly as: 'weight' | 'activation';
  /** The axis with a scale for each place; undefined for one scale. */
  readonly axis?: number;
}

/** What is quantized in a graph. */
export interface Plan {
  readonly activations: ReadonlyMap<string, ActivationMark>;
  readonly constants: ReadonlyMap<string, ConstantMark>;
  readonly biases: readonly Bias[];
  /** Nodes to remove: the quantization of their output clips as they do. */
  readonly folded: ReadonlySet<NodeProto>;
  /** Nodes whose values are quantized, and those that stay. */
  readonly report: Pick<ModeReport, 'changed' | 'kept'>;
}

interface PlanOptions {
  readonly opset: number;
  /** Nodes that may be changed. */
  readonly isSelected: (node: NodeProto) => boolean;
  /** Whether a value of the graph that is no constant is float32. */
  readonly isFloat32: (value: string) => boolean;
}

/** Whether static quantization knows the operator of a node. */
export const isKnown = ({ opType, domain }: NodeProto): boolean => isOnnx(domain) && Object.hasOwn(RULES, opType);

/** Decides what is quantized, in the order of the nodes: an operator that only moves elements is quantized if its input is. */
export async function planQuantization(model: EditableModel, options: PlanOptions): Promise<Plan> {
  const constants = constantsOf(model);
  const numbers = new Map<string, number>();
  for (const [name, tensor] of constants) {
    if (tensor.dims.every((size) => size === 1n)) numbers.set(name, (await readFloats(model, tensor))[0]!);
  }
  const [main] = scopesOf(model.proto);
  const inputs = new Set(model.graph.input.map(({ name }) => name));
  const marks = new Marks({ ...options, constants, numbers, inputs, uses: usesIn(main!) });
  const changed: ModeReport['changed'][number][] = [];
  const kept: ModeReport['kept'][number][] = [];
  for (const node of model.graph.node) {
    if (!isKnown(node) || !options.isSelected(node)) continue;
    const { name, opType: operator } = node;
    const before = marks.version;
    const reason = RULES[operator]!(node, marks) ?? (marks.version === before ? whyUnmarked(node, marks) : undefined);
    if (reason === undefined)
      changed.push({ name, operator, by: marks.folded.has(node) ? 'QuantizeLinear' : operator });
    else kept.push({ name, operator, reason });
  }
  marks.separatePerChannel();
  return {
    activations: marks.activations,
    constants: marks.constants,
    biases: marks.biases,
    folded: marks.folded,
    report: { changed, kept },
  };
}

/** Why a rule marked nothing new; undefined if other nodes had marked its values already. */
function whyUnmarked({ input, output }: NodeProto, marks: Marks): string | undefined {
  return [...input, ...output].some((value) => marks.isMarked(value)) ? undefined : 'none of its values is float32';
}

interface GraphFacts extends PlanOptions {
  readonly constants: ReadonlyMap<string, TensorProto>;
  /** The elements of the constants of one element. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly inputs: ReadonlySet<string>;
  readonly uses: Uses;
}

class Marks implements Marker {
  readonly activations = new Map<string, ActivationMark>();
  readonly constants = new Map<string, ConstantMark>();
  readonly biases: Bias[] = [];
  readonly folded = new Set<NodeProto>();
  /** Grows with each mark. */
  version = 0;
  readonly opset: number;
  readonly #graph: GraphFacts;

  constructor(graph: GraphFacts) {
    this.#graph = graph;
    this.opset = graph.opset;
  }

  isMarked = (value: string): boolean => this.activations.has(value) || this.constants.has(value);
  isConstant = (value: string): boolean => this.#graph.constants.has(value);
  rankOf = (value: string): number | undefined => this.#graph.constants.get(value)?.dims.length;
  numberOf = (value: string): number | undefined => this.#graph.numbers.get(value);

  activation(value: string): void {
    if (this.isMarked(value)) return;
    if (this.isConstant(value)) this.#markConstant(value, { as: 'activation' });
    else this.#markActivation(value, {});
  }

  sameAs(output: string, input: string): void {
    this.#markActivation(output, this.isMarked(input) ? { sameAs: input } : {});
  }

  bounded(value: string, min: number, max: number): void {
    this.#markActivation(value, { range: { min, max } });
  }

  weight(value: string, axis: number | undefined): void {
    if (!this.isConstant(value)) {
      this.activation(value);
      return;
    }
    // A scale for each channel needs operator set 13.
    const isPerChannel = axis !== undefined && axis < this.rankOf(value)! && this.opset >= 13;
    const before = this.constants.get(value);
    const next: ConstantMark = { as: 'weight', ...(isPerChannel && { axis }) };
    // Nodes that need it along different axes share one scale.
    this.#markConstant(value, before?.as === 'weight' && before.axis !== next.axis ? { as: 'weight' } : next);
  }

  bias(bias: Bias): void {
    const { node, at, weight } = bias;
    if (this.isConstant(node.input[at] ?? '') && this.isConstant(weight)) this.biases.push(bias);
  }

  fold(node: NodeProto): boolean {
    const [input, output] = [node.input[0]!, node.output[0]!];
    const mark = this.activations.get(input);
    if (mark === undefined || mark.sameAs !== undefined) return false;
    const { uses, inputs } = this.#graph;
    if (uses.of(input).length > 1 || uses.isOutput(input) || inputs.has(input)) return false;
    this.activations.delete(input);
    this.#markActivation(output, {});
    this.folded.add(node);
    return true;
  }

  /** A value cannot have the scales of the channels of a constant: it gets one of its own. */
  separatePerChannel(): void {
    for (const [value, { sameAs }] of this.activations) {
      if (sameAs !== undefined && this.constants.get(sameAs)?.axis !== undefined) this.activations.set(value, {});
    }
  }

  #markActivation(value: string, mark: ActivationMark): void {
    if (value === '' || !this.#graph.isFloat32(value)) return;
    this.activations.set(value, mark);
    this.version++;
  }

  #markConstant(value: string, mark: ConstantMark): void {
    this.constants.set(value, mark);
    this.version++;
  }
}

/** The value or constant whose scale a value has. */
export function scaleOwner({ activations }: Pick<Plan, 'activations'>, value: string): string {
  let owner = value;
  for (let next = activations.get(owner)?.sameAs; next !== undefined; next = activations.get(owner)?.sameAs)
    owner = next;
  return owner;
}
