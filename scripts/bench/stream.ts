/**
 * Streams rows through /batch_predict as NDJSON and reads the response while it writes; prints one line of JSON:
 *
 *   node scripts/bench/stream.ts --port 8080 --rows 1000000
 *
 * As it shares the machine with the server, it writes one prebuilt chunk of many lines repeatedly, pauses when the kernel's buffer is
 * full, and counts the response's newlines without creating strings.
 */
import { parseArgs } from 'node:util';
import { connect } from '../../functions/cli/loadtest/http/connection.ts';
import { createLineCount } from './line-count.ts';

export interface StreamResult {
  rows: number;
  seconds: number;
  /** Rows per second, from the first byte written to the last line read. */
  rate: number;
  status: number;
  /** Lines of the response: one for each row, and the last one. */
  lines: number;
  lastLine: string;
  /** Whether every row has a result, and the last line says so: `{"done":true,"ok":rows,"failed":0}`. */
  whole: boolean;
  error?: string;
}

interface StreamOptions {
  readonly port: number;
  readonly rows: number;
  readonly batchSize: number;
  /** Longest duration. */
  readonly boundSeconds: number;
}

const LINES_PER_CHUNK = 512;
const ROWS = [
  '{"features":[5.1,3.5,1.4,0.2]}\n',
  '{"features":[7.0,3.2,4.7,1.4]}\n',
  '{"features":[6.3,3.3,6.0,2.5]}\n',
  '{"features":[4.9,3.1,1.5,0.1]}\n',
];

/** `count` rows as one HTTP chunk. */
function ndjsonChunk(count: number): Buffer {
  const text = Array.from({ length: count }, (_, i) => ROWS[i % ROWS.length]).join('');
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
}

/** Whether the last line of a response says that all `rows` have a prediction. */
export function saysWhole(lastLine: string, rows: number): boolean {
  try {
    const { done, ok, failed } = JSON.parse(lastLine) as Record<string, unknown>;
    return done === true && ok === rows && failed === 0;
  } catch {
    return false;
  }
}

/** Streams `rows` iris rows with back-pressure in both directions. */
export function stream(options: StreamOptions): Promise<StreamResult> {
  const { port, rows, batchSize, boundSeconds } = options;
  const chunk = ndjsonChunk(LINES_PER_CHUNK);
  const lines = createLineCount();
  const head = [
    `POST /batch_predict?batch_size=${batchSize} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Content-Type: application/x-ndjson',
    'Transfer-Encoding: chunked',
  ];
  let [written, status, ended] = [0, 0, false];
  let startedAt = performance.now();

  return new Promise((resolve) => {
    function finish(error?: string): void {
      if (ended) return;
      ended = true;
      clearTimeout(bound);
      const seconds = (performance.now() - startedAt) / 1000;
      const lastLine = lines.lastLine();
      const answered = Math.max(0, lines.lines() - 1);
      const whole = status === 200 && answered === rows && saysWhole(lastLine, rows);
      const failure = error ?? (whole ? undefined : 'the answer is not whole');
      const result = { rows, seconds, rate: answered / seconds, status, lines: lines.lines(), lastLine, whole };
      resolve(failure === undefined ? result : { ...result, error: failure });
      connection.destroy();
    }

    function pump(): void {
      while (written < rows && !ended) {
        const count = Math.min(LINES_PER_CHUNK, rows - written);
        written += count;
        const flowing = connection.send(count === LINES_PER_CHUNK ? chunk : ndjsonChunk(count));
        if (written >= rows) connection.send(Buffer.from('0\r\n\r\n'));
        if (!flowing) return;
      }
    }

    const bound = setTimeout(() => finish(`no end within ${boundSeconds} s`), boundSeconds * 1000);
    const connection = connect(
      { port },
      {
        onOpen() {
          startedAt = performance.now();
          connection.send(Buffer.from(`${head.join('\r\n')}\r\n\r\n`));
          pump();
        },
        onBody: lines.push,
        onResponse(code) {
          status = code;
          finish();
        },
        onClose: (error) => finish(error?.message ?? 'the connection closed before the end of the answer'),
      },
    );
    connection.onDrain(pump);
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      rows: { type: 'string', default: '1000000' },
      batch: { type: 'string', default: '64' },
      bound: { type: 'string', default: '120' },
    },
  });
  const result = await stream({
    port: Number(values.port),
    rows: Number(values.rows),
    batchSize: Number(values.batch),
    boundSeconds: Number(values.bound),
  });
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
