import type { Generation } from '../../model/serving/generation.ts';
import { makeExamples } from '../../routes/openapi/example.ts';

/** Where a server is reached, and what it needs of callers. */
export interface Address {
  /** Its origin: `http://localhost:8080`. */
  readonly url: string;
  /** Whether it serves `/`. */
  readonly hasPage: boolean;
  /** Whether `/predict` takes a bearer token. */
  readonly needsToken: boolean;
}

/** The lines that say where a running server is, how to call it and how to stop it. @param predict how; undefined: not at all */
export function addressLines({ url, hasPage }: Address, predict: string | undefined): string[] {
  const rows = [
    hasPage && ['page', `${url}/`],
    hasPage && ['API', `${url}/docs`],
    !hasPage && ['API', `${url}/openapi.json`],
    predict !== undefined && ['predict', predict],
    ['stop', process.stdin.isTTY ? 'Ctrl+C' : `kill ${process.pid}`],
  ];
  return rows.filter((row) => row !== false).map(([name, text]) => `  ${name!.padEnd(9)}${text}`);
}

/** A shell line that predicts the model's example, or zeros of its signature; a sentence if the row is too long for a line. */
export function exampleCall(
  live: Pick<Generation, 'manifest' | 'signature' | 'rows' | 'examples'>,
  address: Address,
): string {
  const examples = makeExamples(live);
  if (examples === undefined) {
    const inputs = live.signature.inputs.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`);
    return `POST ${address.url}/predict; the inputs are too long for a line: ${inputs.join('; ')}`;
  }
  const token = address.needsToken ? ' -H "Authorization: Bearer $TOKEN"' : '';
  const body = JSON.stringify({ features: examples.features });
  return `curl ${address.url}/predict -H 'Content-Type: application/json'${token} -d ${quote(body)}`;
}

/** A text as one word of a POSIX shell. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
