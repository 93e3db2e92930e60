import type { Feeds } from '../../../engine/batch-rows.ts';
import { ServingError } from '../../../errors.ts';
import type { EditableModel } from '../../../onnx/edit/open-model.ts';
import { listNames } from '../../../shorten.ts';
import type { TensorSpec } from '../../../tensor/tensor.ts';
import type { QuantizedDtype } from '../kernels/linear.ts';
import type { Mode } from '../mode.ts';
import { type CalibrationMethod, calibrate } from '../static/calibrate.ts';
import { liftConstants } from '../static/constants.ts';
import { type InstrumentedModel, instrumentModel } from '../static/instrumented-model.ts';
import { isKnown, type Plan, planQuantization } from '../static/plan.ts';
import { quantizeGraph } from '../static/quantize-graph.ts';
import { opsetOf } from '../versions.ts';

/** The choices of static quantization. */
export interface StaticOptions {
  /** Rows to calibrate with, feeds of one row each. Called for each pass over them. */
  readonly rows: () => Iterable<Feeds>;
  /** Default: min-max. */
  readonly calibration?: CalibrationMethod;
  /** The integers of values between nodes. Default: int8. */
  readonly activations?: QuantizedDtype;
  /** 7 bits for weights, for CPUs without VNNI instructions. Default: false. */
  readonly isReduced?: boolean;
  /** A folder on a disk, which gets a copy of the weights while the model is calibrated. */
  readonly workFolder: string;
}

/** QuantizeLinear with one scale for a tensor. */
const LEAST_OPSET = 10;
/** With one for each channel. */
const PER_CHANNEL_OPSET = 13;

/**
 * Static quantization: int8 weights, and int8 values between nodes with constant scales, found by running sample rows through the float
 * model. The rows of a run stay independent.
 */
export function createStaticMode(options: StaticOptions): Mode {
  return {
    name: 'static',
    async run(model, { isSelected, signal }, progress) {
      const opset = checkModel(model);
      liftConstants(model.graph);
      const instrumented = await instrumentModel(model, { workFolder: options.workFolder, signal });
      try {
        const specs = await inferSpecs(model, instrumented);
        const isFloat32 = (value: string): boolean => specs.get(value)?.dtype === 'float32';
        const plan = await planQuantization(model, { opset, isSelected, isFloat32 });
        checkPlan(plan, model);
        const ranges = await calibrate(model, instrumented, valuesToSee(plan, specs), {
          rows: options.rows,
          method: options.calibration ?? { name: 'min-max' },
          signal,
          progress: (done, total) => progress('calibrating', done, total),
        });
        const skipped = await quantizeGraph(model, plan, {
          activations: options.activations ?? 'int8',
          isReduced: options.isReduced ?? false,
          ranges,
          progress(done, total) {
            signal?.throwIfAborted();
            progress('quantizing', done, total);
          },
        });
        return { ...plan.report, notes: notesOf(opset, skipped) };
      } finally {
        instrumented.remove();
      }
    },
  };
}

/** @returns the version of ONNX's operator set. @throws ServingError for a model that cannot be quantized so */
function checkModel({ proto, graph, path }: EditableModel): number {
  const opset = opsetOf(proto);
  if (opset < LEAST_OPSET) {
    throw refused(
      path,
      `its operator set is ${opset}, and QuantizeLinear needs ${LEAST_OPSET}: export it with opset 13 or newer`,
    );
  }
  const quantized = graph.node.find(({ opType }) => opType === 'QuantizeLinear' || opType === 'DequantizeLinear');
  if (quantized === undefined) return opset;
  throw refused(
    path,
    `it is quantized already, for example by node ${quantized.name || quantized.output[0]}: quantize the original`,
  );
}

function checkPlan({ report, activations, constants }: Plan, { graph, path }: EditableModel): void {
  if (report.changed.length > 0 && activations.size + constants.size > 0) return;
  const operators = listNames([...new Set(graph.node.map(({ opType }) => opType))].sort());
  throw refused(path, `static quantization changes none of its selected nodes; its operators are ${operators}`);
}

/** A value that nodes read or give, and its index among the inputs of the model if it is one. */
type ValueSpec = TensorSpec & { readonly input?: number };

/** The types and shapes of the values that known operators read and give, as onnxruntime infers them; constants left out. */
async function inferSpecs(model: EditableModel, instrumented: InstrumentedModel): Promise<Map<string, ValueSpec>> {
  const { graph } = model;
  const initializers = new Set(graph.initializer.map(({ name }) => name));
  const produced = new Set(graph.node.flatMap(({ output }) => output));
  const values = new Set(graph.node.filter(isKnown).flatMap(({ input, output }) => [...input, ...output]));
  const candidates = [...values].filter((value) => value !== '' && produced.has(value) && !initializers.has(value));
  if (candidates.length === 0) return new Map();
  const process = await instrumented.open(candidates);
  process.close();
  const { inputs, outputs } = process.signature;
  const given = inputs.map((spec, input): ValueSpec => ({ ...spec, input }));
  return new Map([...given, ...outputs].map((spec) => [spec.name, spec]));
}

/** The values whose range is to be found. */
function valuesToSee({ activations }: Plan, specs: ReadonlyMap<string, ValueSpec>): ValueSpec[] {
  const values = [...activations].filter(([, { sameAs, range }]) => sameAs === undefined && range === undefined);
  return values.map(([value]) => specs.get(value)!);
}

function notesOf(opset: number, skipped: readonly string[]): string[] {
  const notes: string[] = [];
  if (opset < PER_CHANNEL_OPSET) {
    notes.push(
      `Weights have one scale each, because the operator set is ${opset}: from ${PER_CHANNEL_OPSET} on they have one for each channel.`,
    );
  }
  if (skipped.length > 0)
    notes.push(`These values stay float32, because they were not finite or empty: ${listNames(skipped)}.`);
  return notes;
}

const refused = (path: string, reason: string): ServingError => new ServingError('INVALID_INPUT', `${path}: ${reason}`);
