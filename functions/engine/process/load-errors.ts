import { DATA_TYPES, type DataTypeName } from '../../onnx/data-type.ts';
import { findNode } from '../../onnx/find-node.ts';
import { tensorText } from '../../onnx/value-type.ts';

const MOVE_IT = 'put it beside the model, and save the model with that location (onnx.save_model: location)';

const NO_CUSTOM =
  'this server loads no custom operators: export the model with operators of ai.onnx, ai.onnx.ml and com.microsoft alone';

/** The common errors of onnxruntime: the pattern of its text, and the message that says what to do. */
const KNOWN: readonly [text: RegExp, say: (found: string[], model: RefusedModel) => string][] = [
  [
    /Opset (\d+) is under development(?:.|\n)*official support for domain (\S+) is till opset (\d+)/,
    ([opset, domain, newest]) =>
      `the model needs opset ${opset} of ${domain}, this server's onnxruntime takes up to ${newest}: ` +
      (domain === 'ai.onnx' ? `export it with opset_version=${newest} or lower` : 'export it with a lower opset'),
  ],
  [
    /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    ([version, newest]) =>
      `the model is of IR version ${version}, this server's onnxruntime takes up to ${newest}: ` +
      `export it with an older onnx package, or set its ir_version to ${newest} (onnx.save)`,
  ],
  [
    /External data path does not exist: "(.*?)"/,
    ([path], { external }) =>
      `the external data file ${external.find((location) => path!.endsWith(`/${location}`)) ?? path} is missing ` +
      `(${path}): put it beside the model, under that name`,
  ],
  [
    /External data path escapes \S+ directory\. External data path: "(.*?)"/,
    ([location]) => `the external data file ${location} lies outside the model's folder: ${MOVE_IT}`,
  ],
  [
    /Absolute path not allowed for external data/,
    (_, { external }) => {
      const absolute = external.filter((location) => /^([\\/]|[A-Za-z]:)/.test(location));
      return `the model names its external data by an absolute path (${absolute.join(', ')}): ${MOVE_IT}`;
    },
  ],
  [
    /External initializer: (.*) offset: (\d+) size to read: (\d+) given file_length: (\d+) are out of bounds/,
    ([tensor, offset, size, length], { external }) =>
      `the external data is cut short: the tensor ${tensor} needs bytes ${offset} to ${Number(offset) + Number(size)} ` +
      `of a file of ${length} bytes (${external.join(', ')}): copy it again`,
  ],
  [
    /In Node, \("(.*?)", (\S+), "(.*?)", -?\d+\)(?:.|\n)*No Op registered for \S+ with domain_version of (\d+)/,
    ([node, operator, domain, opset]) =>
      `${operatorText(operator!, domain!, node)} is not in opset ${opset} of that domain: export the model with an opset ` +
      'that has it, or without it',
  ],
  [
    /In Node, \("(.*?)", (\S+), "(.*?)", -?\d+\)(?:.|\n)*No opset import for domain/,
    ([node, operator, domain]) =>
      `${operatorText(operator!, domain!, node)} is in a domain for which the model has no opset_import; ${NO_CUSTOM}`,
  ],
  [
    /Fatal error: (\S*):(\S+)\(-?\d+\) is not a registered function\/op/,
    ([domain, operator], { path }) =>
      `${operatorText(operator!, domain!, findNode(path, operator!, domain!))} is not one of onnxruntime's; ${NO_CUSTOM}`,
  ],
  [
    /Could not find an implementation for (\S+)\((\d+)\) node with name '(.*?)'/,
    ([operator, opset, node]) =>
      `onnxruntime has no implementation of the operator ${operator} of opset ${opset}${nodeText(node)} for the dtypes ` +
      'that it has in this model: export the model with other dtypes, such as float32 and int64',
  ],
  [
    /Type Error: Type '(.*?)' of input parameter \((.*?)\) of operator \((.*?)\) in node \((.*?)\) is invalid/,
    ([type, value, operator, node]) =>
      `the operator ${operator}${nodeText(node)} does not take ${value}, which is ${type}: export the model with another ` +
      'dtype there, or with a Cast node in front of it',
  ],
  [
    /Unsupported data type: (\d+)/,
    ([number]) =>
      `an output whose type the file leaves open is ${elementText(Number(number))}, which onnxruntime-node cannot return: ` +
      'export it as float32, with a Cast node in front of the output',
  ],
  [
    /Failed to construct locale with name:(\S+?):/,
    ([locale]) =>
      `its StringNormalizer needs the locale ${locale}, which this system does not have: install it, or make it with localedef ` +
      'in a folder, and set LOCPATH to that; or export the model with the locale en_US.UTF-8',
  ],
];

/** A model that onnxruntime did not load. */
interface RefusedModel {
  readonly path: string;
  /** The locations of its external data, as the model has them. */
  readonly external: readonly string[];
}

function operatorText(operator: string, domain: string, node: string | undefined): string {
  return `the operator ${operator} of the domain ${domain || 'ai.onnx'}${nodeText(node)}`;
}

function nodeText(node: string | undefined): string {
  return node ? ` (node ${node})` : '';
}

function elementText(number: number): string {
  const found = Object.entries(DATA_TYPES).find(([, known]) => known === number);
  return found === undefined ? `of element type ${number}` : tensorText(found[0] as DataTypeName);
}

/**
 * The error for a model that onnxruntime did not load: for a common one with a message that says what to do, else onnxruntime's.
 * @param cause the error that onnxruntime threw
 */
export function loadError(cause: unknown, model: RefusedModel): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  for (const [pattern, say] of KNOWN) {
    const found = pattern.exec(text);
    if (found) return new Error(say(found.slice(1), model), { cause });
  }
  return cause instanceof Error ? cause : new Error(text);
}
