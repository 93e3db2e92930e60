const MOVE_IT = 'put it beside the model, and save the model with that location (onnx.save_model: location)';

/** What onnxruntime says of models that people bring, and what they can do about it. */
const KNOWN: readonly [text: RegExp, say: (found: string[], external: readonly string[]) => string][] = [
  [
    /Opset (\d+) is under development(?:.|\n)*official support for domain (\S+) is till opset (\d+)/,
    ([opset, domain, newest]) =>
      `the model needs opset ${opset} of ${domain}, this server's onnxruntime takes up to ${newest}: ` +
      (domain === 'ai.onnx' ? `export it with opset_version=${newest} or lower` : 'export it with a lower one'),
  ],
  [
    /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    ([version, newest]) =>
      `the model is of IR version ${version}, this server's onnxruntime takes up to ${newest}: ` +
      `export it with an older onnx package, or set its ir_version to ${newest} (onnx.save)`,
  ],
  [
    /External data path does not exist: "(.*?)"/,
    ([path], external) =>
      `the external data file ${external.find((location) => path!.endsWith(`/${location}`)) ?? path} is missing ` +
      `(${path}): put it beside the model, under that name`,
  ],
  [
    /External data path escapes \S+ directory\. External data path: "(.*?)"/,
    ([location]) => `the external data file ${location} lies outside the model's folder: ${MOVE_IT}`,
  ],
  [
    /Absolute path not allowed for external data/,
    (_, external) => {
      const absolute = external.filter((location) => /^([\\/]|[A-Za-z]:)/.test(location));
      return `the model names its external data by an absolute path (${absolute.join(', ')}): ${MOVE_IT}`;
    },
  ],
  [
    /External initializer: (.*) offset: (\d+) size to read: (\d+) given file_length: (\d+) are out of bounds/,
    ([tensor, offset, size, length], external) =>
      `the external data is cut short: the tensor ${tensor} needs bytes ${offset} to ${Number(offset) + Number(size)} ` +
      `of a file of ${length} bytes (${external.join(', ')}): copy it again`,
  ],
];

/**
 * Why onnxruntime did not load a model, in words that say what to do where the reason is a known one, else its own text.
 * @param external where the model's external data lies, as the model says
 */
export function loadRefusal(cause: unknown, external: readonly string[]): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  for (const [pattern, say] of KNOWN) {
    const found = pattern.exec(text);
    if (found) return new Error(say(found.slice(1), external), { cause });
  }
  return cause instanceof Error ? cause : new Error(text);
}
