/**
 * Baseline (c): node:http that sends a constant body of the size of an iris response after it has read the request's body, as every
 * handler of POST must: the upper limit of plain node:http. With `--unread` it responds at once without reading the body, which no
 * real handler can do; that form is printed for information.
 */
import { createServer } from 'node:http';

const BODY = Buffer.from(
  '{"prediction":0,"label":"setosa","outputs":{"label":0,"probabilities":[0.9783,0.0217,0.00003]},"model":{"name":"iris","version":"1"}}',
);
const HEADERS = ['Content-Type', 'application/json', 'Content-Length', String(BODY.length)];
const unread = process.argv.includes('--unread');

const server = createServer((req, res) => {
  function answer(): void {
    res.writeHead(200, HEADERS);
    res.end(BODY);
  }
  if (unread) return answer();
  req.on('end', answer);
  req.resume();
});
server.listen(Number(process.env.PORT ?? 8080));
