import type { IncomingMessage, ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';

/** Responds to one request of `/batch_predict`. */
export type RowHandler = (lines: AsyncIterable<string>, res: ServerResponse, req: IncomingMessage) => Promise<void>;

/** The number of a row, whose features are that number. */
export const rowOf = (line: string): number => (JSON.parse(line) as { features: [number] }).features[0];
/** The line of a row's result: ten times its number. */
export const written = (index: number, row: number): string =>
  `{"index":${index},"prediction":${row * 10},"outputs":{}}\n`;
const stopped = (code: string, next: number): string =>
  `{"done":false,"next_index":${next},"code":"${code}","message":"send the rest again"}\n`;

/** Responds to each row as it comes; ends with this code after `limit` rows, or cuts the connection without a code. */
export const echo =
  (limit = Number.POSITIVE_INFINITY, code?: string): RowHandler =>
  async (lines, res) => {
    let index = 0;
    for await (const line of lines) {
      if (index === limit) {
        if (code === undefined) res.destroy();
        else res.end(stopped(code, index));
        return;
      }
      res.write(written(index++, rowOf(line)));
    }
    res.end(`{"done":true,"ok":${index},"failed":0}\n`);
  };

/** Reads the body to its end before it responds, as some proxies do. */
export const whole: RowHandler = async (lines, res) => {
  const rows: number[] = [];
  for await (const line of lines) rows.push(rowOf(line));
  res.end(`${rows.map((row, i) => written(i, row)).join('')}{"done":true,"ok":${rows.length},"failed":0}\n`);
};

/** A listener of a server: the requests go to the handlers in turn, further ones to the last. */
export function inTurn(handlers: readonly RowHandler[], onRequest: (req: IncomingMessage) => void = () => {}) {
  let handled = 0;
  return (req: IncomingMessage, res: ServerResponse): void => {
    const handler = handlers[Math.min(handled++, handlers.length - 1)]!;
    req.on('error', () => {});
    onRequest(req);
    const lines = createInterface({ input: req });
    // The interface repeats the error of a request that the client ends.
    lines.on('error', () => {});
    void handler(lines, res, req).catch(() => {});
  };
}
