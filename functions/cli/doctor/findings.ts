/**
 * `fault`: the model does not serve. `warning`: it serves, with a disadvantage that an export can remove. `note`: what one should
 * know.
 */
export type Level = 'fault' | 'warning' | 'note';

/** Something about a model, and what to do about it. */
export interface Finding {
  readonly level: Level;
  /** What kind it is, for programs. */
  readonly kind: string;
  readonly problem: string;
  readonly fix?: string;
}

/** With what the server's messages begin to say what to do, after a colon or a semicolon. */
const ADVICE =
  /[:;] (?=(?:export|put|copy|install|leave|set|unpack|save|fetch|give|raise|upload|name|point|this server loads no)\b)/;

/** A message of the server as a finding: what is wrong, and after a colon what to do. */
export function fromMessage(kind: string, message: string): Finding {
  const found = ADVICE.exec(message);
  if (found === null) return { level: 'fault', kind, problem: message };
  return { level: 'fault', kind, problem: message.slice(0, found.index), fix: message.slice(found.index + 2) };
}

/** The kinds of loads that fail, by the server's messages. */
const KINDS: readonly [RegExp, kind: string][] = [
  [/it cannot be (opened|read): /, 'unreadable'],
  [/expected an ONNX model, but it is cut short/, 'truncated'],
  [/expected an ONNX model, but/, 'not-a-model'],
  [/needs opset \d+|is of IR version/, 'too-new'],
  [/is not in opset/, 'unknown-operator'],
  [/no custom operators/, 'custom-operator'],
  [/has no implementation of the operator|does not take/, 'operator-dtype'],
  [/external data|keeps weights in/, 'external-data'],
  [/is (sequence of|map\(|optional|sparse|opaque)|of a type that the file leaves open/, 'sequence-or-map'],
  [/is tensor\(\w+\), which onnxruntime-node|whose type the file leaves open/, 'dtype'],
  [/locale/, 'locale'],
  [/golden\.json/, 'golden'],
  [/model\.json/, 'manifest'],
  [/it has no output/, 'no-output'],
];

/** What to do about kinds whose messages only say what is wrong. */
const FIXES: Readonly<Record<string, string>> = {
  unreadable: 'allow this user to read the file, and to enter its folders',
  truncated: 'copy or download it again, and compare the number of bytes',
  'not-a-model': 'give the path of the .onnx file that the exporter wrote',
  golden: 'correct the row, or its tolerance, if the model is right; else find out what has changed in it',
  manifest: 'correct that field of model.json, or remove it',
  'no-output': 'export the model with its outputs',
};

/** The finding for a load that failed. @param message the server's, without the place */
export function loadFinding(message: string): Finding {
  const kind = KINDS.find(([pattern]) => pattern.test(message))?.[1] ?? 'load';
  const finding = fromMessage(kind, message);
  const fix = finding.fix ?? FIXES[kind];
  return fix === undefined ? finding : { ...finding, fix };
}
