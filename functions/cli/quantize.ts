import { basename, dirname, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Feeds } from '../engine/batch-rows.ts';
import type { Mode } from './quantize/mode.ts';
import type { Outcome, VerbContext } from './terminal/reporting.ts';
import type { Verb } from './verb.ts';

interface Options {
  readonly mode: keyof typeof MODES;
  readonly output?: string;
  readonly samples?: string;
  readonly rows: number;
  readonly tolerance: number;
  readonly only: readonly string[];
  readonly exclude: readonly string[];
  readonly bits: 4 | 8;
  readonly blockSize: number;
  readonly symmetric?: boolean;
  readonly accuracyLevel?: number;
  readonly perTensor?: boolean;
  readonly reduceRange?: boolean;
  readonly float16Io?: boolean;
  readonly calibration: 'min-max' | 'entropy' | 'percentile';
  readonly percentile: number;
  readonly activations: 'int8' | 'uint8';
  readonly externalData?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

const HELP = `
Modes:
  dynamic  int8 weights of MatMul, Gemm, Conv, Attention, LSTM and embeddings;
           values are quantized in each run, by the range of all its rows, so
           the server no longer joins rows of different requests
  static   int8 weights and values, by scales that are found in a calibration
           with the samples: rows stay apart, and the server joins them
  weights  weights of MatMul and Gemm in blocks of 4 or 8 bits, values as floats
  float16  weights and values of 16 bits; operators without float16 stay

Every row of the samples, else of golden.json or the example of model.json, runs
through the model and the result. --tolerance is the share of rows that may get
another class; without classes, the mean difference relative to max(1, |value|).

A pattern is the name of a node or an operator; * is any text.

Examples:
  onnx-cloud-run quantize model.onnx --mode dynamic
  onnx-cloud-run quantize model.onnx --mode static --samples rows.ndjson --calibration entropy
  onnx-cloud-run quantize model.onnx --mode weights --bits 4 --samples rows.csv --tolerance 0.03
  onnx-cloud-run quantize models/bert --mode dynamic --exclude '/pooler/*' Gather --output bert.onnx
  onnx-cloud-run quantize model.onnx --mode float16 --json > report.json

Exit codes: 0 if the result is within the tolerance, 1 if it is not or if the
model cannot be quantized, 2 for wrong usage, 130 after Ctrl+C.`;

/** What a mode may need beside its options. */
interface Surroundings {
  /** The rows of the samples. */
  readonly rows: readonly Feeds[] | undefined;
  readonly output: string;
}

/** What creates the modes, by their names. Each imports its own room. */
const MODES = {
  async dynamic({ perTensor = false, reduceRange = false }: Options): Promise<Mode> {
    const { createDynamicMode } = await import('./quantize/modes/dynamic/dynamic.ts');
    return createDynamicMode({ isPerChannel: !perTensor, isReduced: reduceRange });
  },
  async static(options: Options, { rows, output }: Surroundings): Promise<Mode> {
    const { createStaticMode } = await import('./quantize/modes/static.ts');
    const { activations, calibration: name, percentile, reduceRange = false } = options;
    return createStaticMode({
      rows: () => rows ?? [],
      calibration: name === 'percentile' ? { name, percentile } : { name },
      activations,
      isReduced: reduceRange,
      workFolder: dirname(output),
    });
  },
  async weights({ bits, blockSize, symmetric = false, accuracyLevel }: Options): Promise<Mode> {
    const { createWeightsMode } = await import('./quantize/modes/weights.ts');
    return createWeightsMode({ bits, blockSize, isSymmetric: symmetric, accuracyLevel });
  },
  async float16({ float16Io = false }: Options): Promise<Mode> {
    const { createFloat16Mode } = await import('./quantize/modes/float16/float16.ts');
    return createFloat16Mode({ keepsIo: !float16Io });
  },
};

/** The options of one mode, by the mode: another one with them is wrong usage. */
const OWN_OPTIONS: Readonly<Record<string, readonly (keyof Options)[]>> = {
  dynamic: ['perTensor', 'reduceRange'],
  static: ['calibration', 'percentile', 'activations', 'reduceRange'],
  weights: ['bits', 'blockSize', 'symmetric', 'accuracyLevel'],
  float16: ['float16Io'],
};

/** `onnx-cloud-run quantize MODEL --mode MODE`: writes a smaller model, and compares it with the original. */
export const quantize: Verb = {
  name: 'quantize',
  summary: 'make a model smaller, and compare its answers',
  add(command) {
    command
      .argument('<model>', 'a .onnx file, or a folder with one model')
      .addOption(new Option('-m, --mode <mode>', 'how').choices(Object.keys(MODES)).makeOptionMandatory())
      .option('-o, --output <path>', 'the file of the result (default: MODEL.MODE.onnx beside the model)')
      .option('-s, --samples <file>', 'rows to compare: .csv, .ndjson, or a golden.json')
      .option('--rows <number>', 'the most rows to compare', readNumber(1, 1_000_000), 1000)
      .option('--tolerance <part>', 'how far the result may differ, 0 to 1', readPart, 0.01)
      .option('--only <patterns...>', 'change these nodes alone', [])
      .option('--exclude <patterns...>', 'leave these nodes as they are', [])
      .addOption(
        new Option('--bits <bits>', 'weights: bits of a weight').choices(['4', '8']).argParser(Number).default(4),
      )
      .option('--block-size <size>', 'weights: elements with one scale, a power of two from 16 on', readBlockSize, 32)
      .option('--symmetric', 'weights: no zero points')
      .option('--accuracy-level <level>', 'weights: 1 to 4; 4 computes with int8 values', readNumber(1, 4))
      .option('--per-tensor', 'dynamic: one scale for a weight, not one for each column')
      .option('--reduce-range', 'dynamic, static: 7 bits, for CPUs without VNNI instructions')
      .addOption(
        new Option('--calibration <method>', 'static: how a range follows from the samples')
          .choices(['min-max', 'entropy', 'percentile'])
          .default('min-max'),
      )
      .option('--percentile <percent>', 'static: share of the values within the range', readPercentile, 99.999)
      .addOption(
        new Option('--activations <type>', 'static: the integers of values').choices(['int8', 'uint8']).default('int8'),
      )
      .option('--float16-io', 'float16: inputs and outputs are float16 too')
      .option('--external-data', 'write the weights into a file of their own')
      .option('--no-external-data', 'write everything into one file')
      .option('--force', 'replace a file that exists')
      .option('--json', 'print the result as JSON')
      .addHelpText('after', HELP)
      .action(async (model: string, options: Options) => {
        const { reportVerb } = await import('./terminal/reporting.ts');
        await reportVerb(command, options, (context) => run(command, model, options, context));
      });
    // commander would set it to true by itself; undefined is as the model has them.
    command.setOptionValue('externalData', undefined);
  },
};

async function run(command: Command, path: string, options: Options, context: VerbContext): Promise<Outcome> {
  refuseOtherOptions(command, options.mode, context);
  const { checkOutput, quantizeModel, readRows } = await import('./quantize/quantize-model.ts');
  const { findLocalModel } = await import('./samples/local-model.ts');
  const { progress, signal, styles, onEnd } = context;
  const model = await findLocalModel(path);
  const output = options.output ?? join(dirname(model.path), `${basename(model.path, '.onnx')}.${options.mode}.onnx`);
  checkOutput(output, model, options.force === true);
  progress.step('reading rows');
  const canCompare = options.float16Io !== true;
  const rows = canCompare ? await readRows(model, options.samples, options.rows) : undefined;
  if (options.mode === 'static' && rows === undefined)
    context.wrongUsage('--mode static is calibrated with sample rows: name a file with --samples');
  const quantized = await quantizeModel({
    model,
    mode: await MODES[options.mode](options, { rows, output }),
    patterns: options,
    output,
    externalData: options.externalData,
    rows,
    signal,
    onEnd,
    progress,
  });
  const { comparisonLines } = await import('./compare/comparison-text.ts');
  const { whyBeyond } = await import('./compare/tolerance.ts');
  const { joiningAdvice, reportJson, reportLines, writtenLine } = await import('./quantize/report-lines.ts');
  const { comparison, report, written } = quantized;
  const beyond = comparison === undefined ? undefined : whyBeyond(comparison, options.tolerance);
  const advice = comparison === undefined ? undefined : joiningAdvice(comparison, options.mode);
  const whyNot = canCompare ? 'there are no sample rows: name a file with --samples' : 'its inputs are float16';
  return {
    lines: [
      ...reportLines(report),
      '',
      ...(comparison === undefined ? [`not compared with the original: ${whyNot}`] : comparisonLines(comparison)),
      ...(advice === undefined ? [] : [advice]),
      ...(beyond === undefined ? [] : [styles.red(`beyond the tolerance: ${beyond}`)]),
      writtenLine(quantized),
    ],
    json: {
      model: model.path,
      mode: options.mode,
      files: written.files,
      bytes: written.bytes,
      ...reportJson(report),
      comparison: comparison ?? null,
      tolerance: options.tolerance,
      beyond: beyond ?? null,
    },
    isGood: beyond === undefined,
  };
}

function refuseOtherOptions(command: Command, mode: string, { wrongUsage }: VerbContext): void {
  const own = new Set(OWN_OPTIONS[mode]);
  for (const name of Object.values(OWN_OPTIONS).flat()) {
    if (own.has(name) || command.getOptionValueSource(name) !== 'cli') continue;
    const flag = command.options.find((option) => option.attributeName() === name)?.long;
    const modes = Object.keys(OWN_OPTIONS).filter((other) => OWN_OPTIONS[other]!.includes(name));
    wrongUsage(`${flag} is an option of --mode ${modes.join(' and ')}, and the mode is ${mode}`);
  }
}

function readNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
  };
}

function readPart(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number <= 1) return number;
  throw new InvalidArgumentError('It takes a number from 0 to 1.');
}

function readPercentile(text: string): number {
  const percent = Number(text);
  if (text.trim() !== '' && percent > 50 && percent <= 100) return percent;
  throw new InvalidArgumentError('It takes a number above 50, up to 100.');
}

function readBlockSize(text: string): number {
  const size = Number(text);
  if (size >= 16 && size <= 4096 && Number.isInteger(Math.log2(size))) return size;
  throw new InvalidArgumentError('It takes a power of two from 16 to 4096.');
}
