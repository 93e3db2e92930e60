import type { Feeds } from '../../engine/batch-rows.ts';
import type { Signature, TensorSpec } from '../../tensor/tensor.ts';
import type { FileDescription } from './describe-file.ts';
import type { Finding } from './findings.ts';
import type { HuggingFaceExport } from './hugging-face.ts';
import type { Served } from './try-model.ts';

/** From this version of the file format on, an initializer need not be an input. */
const FREE_INITIALIZERS = 4;
/** Names that a field of JavaScript and of most languages may have. */
const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;
const MOST_NAMED = 5;

/** What the file shows without being loaded. */
export function checkFile({ irVersion, initializerInputs }: FileDescription): Finding[] {
  if (initializerInputs.length === 0) return [];
  const problem = `${count(initializerInputs.length, 'initializer is', 'initializers are')} also an input (${namesOf(
    initializerInputs,
  )}): callers cannot replace them, and onnxruntime computes nothing from them ahead of time`;
  const fix =
    irVersion < FREE_INITIALIZERS
      ? `the file has IR version ${irVersion}, in which every initializer must be an input: export it with a newer exporter, or set ir_version to 8 and remove them from graph.input`
      : 'export with keep_initializers_as_inputs=False, or remove them from graph.input';
  return [{ level: 'warning', kind: 'initializer-inputs', problem, fix }];
}

/** What the server has found out about a model that it serves. */
export function checkServed(file: FileDescription, { signature, batching, labelled }: Served): Finding[] {
  return [
    ...labelled.map(({ output, labels }) => zipMap(output, labels)),
    ...fixedRows(signature),
    ...openRanks(signature),
    ...(batching.enabled || isExplained(signature) ? [] : [notJoined(batching.reason)]),
    ...wideIntegers(signature),
    ...unusualNames(signature),
    ...customDomains(file),
  ];
}

/**
 * What the run times are of, if the rows were made up and callers choose their lengths.
 * @param isPrepared whether callers send texts or pictures: an example of theirs is not measured
 */
export function checkRow(
  { known, signature }: Pick<Served, 'known' | 'signature'>,
  row: Feeds,
  isPrepared: boolean,
): Finding[] {
  if (known.length > 0) return [];
  const free = signature.inputs.flatMap(({ name, shape, dimNames = [] }, slot) =>
    shape.flatMap((dim, axis) =>
      dim === -1 && axis > 0
        ? [`${dimNames[axis] ?? `dimension ${axis} of ${name}`} ${row.tensors[slot]!.dims[axis]}`]
        : [],
    ),
  );
  if (free.length === 0) return [];
  return [
    {
      level: 'note',
      kind: 'made-up-row',
      problem: `the run times are those of made-up rows: ${namesOf([...new Set(free)])}`,
      ...(!isPrepared && { fix: 'give the example of a row of yours in model.json' }),
    },
  ];
}

/** What one should know about an export of Hugging Face whose texts or pictures the server does not take. */
export function checkExport({ type, architecture, preprocessing }: HuggingFaceExport): Finding[] {
  if (preprocessing.length === 0) return [];
  const files = preprocessing.join(', ');
  const isOfPictures = preprocessing.some((name) => /^(preprocessor_config|feature_extractor)\.json$/.test(name));
  const fix =
    isOfPictures || preprocessing.includes('tokenizer.json')
      ? `let the caller make them with ${files}: transformers (Python) and transformers.js (JavaScript) read these files`
      : `the server reads tokenizer.json, and there is ${files}: write it with AutoTokenizer.from_pretrained(…).save_pretrained(…)`;
  const what = architecture === undefined ? `a model of type ${type}` : `${architecture} (${type})`;
  return [
    {
      level: 'note',
      kind: 'hugging-face',
      problem: `this is an export of ${what}: the server takes its tensors, and neither texts nor pictures`,
      fix,
    },
  ];
}

function zipMap(output: string, labels: readonly string[]): Finding {
  return {
    level: 'note',
    kind: 'zipmap',
    problem: `output ${output} is a ZipMap, a map for each row: the server leaves it out, and returns the scores as a tensor with a column for each of ${namesOf(labels)}`,
    fix: "export with options={'zipmap': False} to have the same in every runtime",
  };
}

function fixedRows({ inputs }: Signature): Finding[] {
  const fixed = inputs.filter(({ shape, anyRank }) => !anyRank && shape[0] !== -1);
  if (fixed.length === 0) return [];
  const [{ name, shape }] = fixed as [TensorSpec];
  const has =
    shape.length === 0
      ? `input ${name} is a single number`
      : `the first dimension of input ${name} is always ${shape[0]}`;
  return [
    {
      level: 'warning',
      kind: 'fixed-batch',
      problem: `${has}: each request is a run of its own, and a run has one row`,
      fix: `export with a dynamic batch axis: torch.onnx.export(…, dynamic_axes={'${name}': {0: 'batch'}}), or dynamic_shapes with dynamo=True`,
    },
  ];
}

function openRanks({ inputs }: Signature): Finding[] {
  const open = inputs.filter(({ anyRank }) => anyRank);
  if (open.length === 0) return [];
  return [
    {
      level: 'warning',
      kind: 'unknown-rank',
      problem: `the file does not give the rank of input ${namesOf(open.map(({ name }) => name))}: the server takes any, cannot tell rows from it, and runs one request at a time`,
      fix: 'export with shapes: onnx.shape_inference, or a shape for each input in the exporter',
    },
  ];
}

/** Whether a finding above says why rows are not joined. */
const isExplained = ({ inputs }: Signature): boolean => inputs.some(({ shape }) => shape[0] !== -1);

function notJoined(reason: string): Finding {
  const undecided = /: (to decide it, .*)$/.exec(reason);
  const problem = undecided === null ? reason : reason.slice(0, undecided.index);
  const fix = undecided?.[1] ?? 'none is needed: each request is a run of its own; more CPUs run more of them at once';
  return {
    level: 'note',
    kind: 'not-joined',
    problem: `rows of different requests do not share a run: ${problem}`,
    fix,
  };
}

function wideIntegers({ inputs, outputs }: Signature): Finding[] {
  const wide = [...inputs, ...outputs].filter(({ dtype }) => dtype === 'int64' || dtype === 'uint64');
  if (wide.length === 0) return [];
  const names = namesOf(wide.map(({ name }) => name));
  return [
    {
      level: 'note',
      kind: 'int64',
      problem: `${names} ${wide.length === 1 ? 'has' : 'have'} 64-bit integers: the server sends and takes all digits, but numbers of JavaScript lose those of integers above 9007199254740991`,
      fix: 'nothing, if they are class labels or token ids; else read them as BigInt, as the TypeScript client does, or export them as int32',
    },
  ];
}

function unusualNames({ inputs, outputs }: Signature): Finding[] {
  const unusual = [...inputs, ...outputs].map(({ name }) => name).filter((name) => !PLAIN.test(name));
  if (unusual.length === 0) return [];
  const [first] = unusual as [string];
  return [
    {
      level: 'note',
      kind: 'names',
      problem: `${namesOf(unusual.map((name) => JSON.stringify(name)))} ${unusual.length === 1 ? 'is a name' : 'are names'} that code has to quote: features[${JSON.stringify(first)}]`,
      fix: 'give names without special characters to the exporter (input_names, output_names)',
    },
  ];
}

/** Domains that are not ONNX's own, for which onnxruntime has operators nevertheless. */
function customDomains({ operators, functions }: FileDescription): Finding[] {
  const domains = operators
    .filter(({ domain, operator }) => !/^ai\.onnx(\.ml)?$/.test(domain) && !functions.has(`${domain}.${operator}`))
    .map(({ domain }) => domain);
  if (domains.length === 0) return [];
  return [
    {
      level: 'note',
      kind: 'contrib-operators',
      problem: `it uses operators of ${namesOf([...new Set(domains)])}, which other runtimes than onnxruntime may not have`,
    },
  ];
}

function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMED).join(', ');
  return names.length > MOST_NAMED ? `${shown} and ${names.length - MOST_NAMED} more` : shown;
}

const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;
