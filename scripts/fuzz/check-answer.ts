import type { Answer } from '../conformance/http.ts';

/** What is wrong with a response, whatever the body; undefined if nothing is. */
export function faultOf(answer: Answer): string | undefined {
  const { status, headers } = answer;
  if (status === 503) return headers['retry-after'] === undefined ? '503 without Retry-After' : undefined;
  if (status >= 500) return `a body must not lead to ${status}`;
  if (status >= 400) return errorFault(answer);
  if (status !== 200) return `expected 200 or an error, got ${status}`;
  const type = headers['content-type'] ?? 'none';
  try {
    if (type.startsWith('application/json')) JSON.parse(answer.text);
    else if (type.startsWith('application/x-ndjson')) readLines(answer.text);
    else if (type.startsWith('application/octet-stream')) return binaryFault(answer);
    else return `content type ${type}`;
  } catch (error) {
    return `the answer is no ${type}: ${(error as Error).message}`;
  }
  return undefined;
}

function errorFault({ text, headers }: Answer): string | undefined {
  if (!headers['content-type']?.startsWith('application/json')) return 'the error is no JSON by its content type';
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(text);
  } catch (error) {
    return `the error is no JSON: ${(error as Error).message}`;
  }
  const missing = ['error', 'code', 'request_id'].filter((name) => typeof body?.[name] !== 'string');
  return missing.length === 0 ? undefined : `the error lacks ${missing.join(', ')}`;
}

function readLines(text: string): void {
  if (!text.endsWith('\n')) throw new Error('the last line is not ended');
  for (const line of text.slice(0, -1).split('\n')) JSON.parse(line);
}

function binaryFault({ headers, bytes }: Answer): string | undefined {
  const length = Number(headers['inference-header-content-length']);
  if (!(length >= 0 && length <= bytes.length)) return `a header of ${length} bytes in ${bytes.length}`;
  const head = JSON.parse(Buffer.from(bytes.subarray(0, length)).toString()) as {
    outputs: { parameters?: { binary_data_size?: number } }[];
  };
  const sum = head.outputs.reduce((total, { parameters }) => total + (parameters?.binary_data_size ?? 0), 0);
  return sum === bytes.length - length ? undefined : `sizes come to ${sum}, ${bytes.length - length} bytes are there`;
}
