import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { makeCertificate } from '../helpers/certificate.ts';
import { echo, inTurn, type RowHandler, whole, written } from '../helpers/row-answers.ts';
import { serve } from '../helpers/serve.ts';
import { python } from './python.ts';

/** What the program printed as JSON, line by line. A warning, such as of a socket that is not closed, is a failure. */
async function printed(code: string, url: string, ...args: string[]): Promise<unknown[]> {
  const { stdout, stderr, code: exit } = await python(code, [url, ...args]);
  assert.deepEqual([exit, stderr], [0, ''], stdout);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Sends 500 rows, and checks that each has its own result. */
const STREAM = `
with Client(url, retries=int(sys.argv[3])) as client:
    rows = client.batch_predict(([i] for i in range(500)), max_unanswered=100, duplex=sys.argv[2] == "duplex")
    seen = [(row.index, row.prediction) for row in rows]
print(json.dumps(seen == [(i, i * 10) for i in range(500)]))
print(threading.active_count())
`;
const CALL = 'print(json.dumps(Client(url).predict([1]).prediction))';
const FAILURE = `
with Client(url, retries=0, timeout=5) as client:
    error = error_of(lambda: client.predict([1]))
print(json.dumps([error.code, error.status, error.path, error.request_id, error.retry_after, str(error)]))
`;
const GOOD = '{"prediction":1,"outputs":{},"model":{"name":"m","version":"1"}}';

describe('streams of the Python client', () => {
  for (const mode of ['duplex', 'windows']) {
    test(`every row is answered once and in order, however often the server stops (${mode})`, async (t) => {
      let requests = 0;
      const busy: RowHandler = async (_, res) =>
        void res.writeHead(503, { 'Retry-After': '0' }).end('{"error":"busy"}');
      const handlers = [busy, echo(100, 'DRAINING'), busy, echo(1, 'MODEL_CHANGED'), echo(0, 'IDLE'), echo(70), echo()];
      const { url } = await serve(
        t,
        inTurn(handlers, () => requests++),
      );
      assert.deepEqual(await printed(STREAM, url, mode, '3'), [true, 1]);
      assert.ok(requests >= 7, String(requests));
    });
  }

  test('where a body is read to its end first, each window becomes a request, on one connection', async (t) => {
    const streamed: boolean[] = [];
    const ports = new Set<number | undefined>();
    const { url } = await serve(
      t,
      inTurn([whole], (req) => {
        streamed.push(req.headers['content-length'] === undefined);
        ports.add(req.socket.remotePort);
      }),
    );
    assert.deepEqual(await printed(STREAM, url, 'duplex', '0'), [true, 1]);
    assert.deepEqual(streamed, [true, ...streamed.slice(1).fill(false)], 'the first request shows it for all after it');
    assert.ok(streamed.length >= 5 && streamed.length <= 12, `${streamed.length} requests`);
    assert.equal(ports.size, 1);
  });

  test('over TLS rows are sent while results are read', async (t) => {
    const authority = makeCertificate('an authority');
    const { cert, key } = makeCertificate('localhost', authority);
    const server = createSecureServer({ cert, key }, inTurn([echo()]));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const folder = mkdtempSync(join(tmpdir(), 'python-tls-'));
    t.after(() => {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true });
    });
    writeFileSync(join(folder, 'ca.pem'), authority.cert);
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const trusting = `
import ssl
context = ssl.create_default_context(cafile=sys.argv[2])
with Client(url, retries=0, ssl_context=context) as client:
    rows = client.batch_predict([i] for i in range(50_000))
    print(json.dumps(all((row.index, row.prediction) == (i, i * 10) for i, row in enumerate(rows))))
`;
    assert.deepEqual(await printed(trusting, url, join(folder, 'ca.pem')), [true]);
    const [failed] = await printed(FAILURE, url);
    assert.match((failed as string[])[5]!, /certificate verify failed/i);
  });

  test('a server that makes no progress is abandoned after `retries` repeats, one that refuses at once', async (t) => {
    for (const [handler, code, expected] of [
      [echo(0, 'DRAINING'), 'DRAINING', 3],
      [refuse, 'INVALID_INPUT', 1],
    ] as const) {
      let requests = 0;
      const { url } = await serve(
        t,
        inTurn([handler], () => requests++),
      );
      const program =
        'print(json.dumps(error_of(lambda: list(Client(url, retries=2).batch_predict([[1], [2]]))).code))';
      assert.deepEqual(await printed(program, url), [code]);
      assert.equal(requests, expected);
    }
  });

  test('a result of a row that was not sent, of the wrong row, or of no row is a BAD_ANSWER', async (t) => {
    for (const text of [
      written(1, 1),
      written(0, 0) + written(1, 1),
      '{"done":true,"ok":0,"failed":0}\n',
      'x\n',
      '5\n',
      '{}\n',
    ]) {
      const answers: RowHandler = async (lines, res) => {
        for await (const _ of lines) break;
        res.end(text);
      };
      const { url } = await serve(t, inTurn([answers]));
      const code = 'print(json.dumps(error_of(lambda: list(Client(url).batch_predict([[0]]))).code))';
      assert.deepEqual(await printed(code, url), ['BAD_ANSWER'], text);
    }
  });

  test('leaving the loop ends the request and closes the source, also one that waits in the window', async (t) => {
    const gone = Promise.withResolvers<void>();
    const { url } = await serve(
      t,
      inTurn([echo()], (req) => void req.once('close', gone.resolve)),
    );
    const code = `
closed = []
def rows():
    try:
        while True:
            yield [0]
    finally:
        closed.append(True)
with Client(url) as client:
    for row in client.batch_predict(rows(), max_unanswered=50):
        if row.index == 500:
            break
    del row
print(json.dumps(closed))
print(threading.active_count())
`;
    assert.deepEqual(await printed(code, url), [[true], 1]);
    await gone.promise;
  });

  test('rows are read no further ahead than the window while no results are consumed', async (t) => {
    const { url } = await serve(t, inTurn([echo()]));
    const code = `
read = 0
def rows():
    global read
    while True:
        read += 1
        yield [read - 1]
most = 0
for row in Client(url).batch_predict(rows(), max_unanswered=50):
    most = max(most, read - row.index)
    if row.index == 5000:
        break
print(json.dumps(most <= 52))
`;
    assert.deepEqual(await printed(code, url), [true]);
  });

  test('results arrive while the source waits: each row may depend on the result before it', async (t) => {
    const { url } = await serve(t, inTurn([echo()]));
    const code = `
from queue import Queue
queue = Queue()
queue.put(1)
def rows():
    while (value := queue.get()) < 1_000_000:
        yield [value]
seen = []
for row in Client(url).batch_predict(rows()):
    seen.append(row.prediction)
    queue.put(row.prediction)
print(json.dumps(seen))
`;
    assert.deepEqual(await printed(code, url), [[10, 100, 1000, 10_000, 100_000, 1_000_000]]);
  });

  test('the error of the source is raised after the results of the rows before it, and so is that of a row that is not JSON', async (t) => {
    const { url } = await serve(t, inTurn([echo()]));
    const code = `
def rows():
    yield [0]
    yield [1]
    raise OSError("the file is broken")
for source in rows(), iter([[0], [1], [{2}]]):
    seen = []
    try:
        for row in Client(url).batch_predict(source):
            seen.append(row.index)
    except (OSError, TypeError) as error:
        print(json.dumps([seen, str(error)]))
`;
    const [broken, set] = (await printed(code, url)) as [unknown, [unknown, string]];
    assert.deepEqual(broken, [[0, 1], 'the file is broken']);
    assert.deepEqual(set[0], [0, 1]);
    assert.match(set[1], /^set is not JSON: expected numbers/);
  });

  test('a row without a result within the time limit ends the stream, but not a source or a reader that takes longer', async (t) => {
    const silent: RowHandler = async () => {};
    const hanging = await serve(t, inTurn([silent]));
    const code = 'print(json.dumps(error_of(lambda: list(Client(url, timeout=0.05).batch_predict([[0]]))).code))';
    assert.deepEqual(await printed(code, hanging.url), ['TIMEOUT']);
    const { url } = await serve(t, inTurn([echo()]));
    const slow = `
import time
def rows():
    yield [0]
    time.sleep(0.4)
    yield [1]
seen = []
for row in Client(url, retries=0, timeout=0.3).batch_predict(rows()):
    seen.append(row.index)
    time.sleep(0.4)
print(json.dumps(seen))
`;
    assert.deepEqual(await printed(slow, url), [[0, 1]]);
  });

  test('no request is sent for no rows, and no row is read before the first result is asked for', async (t) => {
    let requests = 0;
    const { url } = await serve(
      t,
      inTurn([echo()], () => requests++),
    );
    const code = `
read = []
rows = Client(url).batch_predict(read.append(i) for i in range(3))
print(json.dumps([read, list(Client(url).batch_predict([]))]))
`;
    assert.deepEqual(await printed(code, url), [[[], []]]);
    assert.equal(requests, 0);
  });
});

const refuse: RowHandler = async (_, res) => {
  res.writeHead(400, { 'X-Request-Id': 'r1' }).end('{"error":"no","code":"INVALID_INPUT","path":"features"}');
};

/** Answers the requests in turn with these statuses, header fields and bodies; further ones with the last. */
async function answering(t: TestContext, answers: readonly [number, Record<string, string>, string][]) {
  let requests = 0;
  const { url } = await serve(t, (req, res) => {
    const [status, headers, body] = answers[Math.min(requests++, answers.length - 1)]!;
    req.resume().on('end', () => res.writeHead(status, headers).end(body));
  });
  return { url, requests: () => requests };
}

describe('single calls of the Python client', () => {
  test('429, 502 and 503 are repeated, after Retry-After, and nothing else', async (t) => {
    const again = { 'Retry-After': '0' };
    const { url, requests } = await answering(t, [
      [429, again, ''],
      [502, again, '<html>'],
      [503, { 'Retry-After': 'Mon, 30 Nov 2020 00:00:00 GMT' }, ''],
      [200, {}, GOOD],
    ]);
    assert.deepEqual(await printed(CALL, url), [1]);
    assert.equal(requests(), 4);
    for (const status of [302, 400, 401, 404, 408, 413, 500, 504]) {
      const other = await answering(t, [[status, {}, '']]);
      const code = 'print(json.dumps(error_of(lambda: Client(url).predict([1])).status))';
      assert.deepEqual(await printed(code, other.url), [status]);
      assert.equal(other.requests(), 1, String(status));
    }
  });

  test('an error has all that the server said; that of a proxy has the start of its page', async (t) => {
    const body = '{"error":"features: no","code":"INVALID_INPUT","path":"features","request_id":"r1"}';
    const own = await answering(t, [[400, { 'Retry-After': '7' }, body]]);
    assert.deepEqual(await printed(FAILURE, own.url), [['INVALID_INPUT', 400, 'features', 'r1', 7, 'features: no']]);
    const proxy = await answering(t, [[500, { 'X-Request-Id': 'r2' }, 'a'.repeat(100_000)]]);
    assert.deepEqual(await printed(FAILURE, proxy.url), [['HTTP', 500, null, 'r2', null, 'a'.repeat(300)]]);
    const empty = await answering(t, [[404, {}, '']]);
    assert.deepEqual(await printed(FAILURE, empty.url), [['HTTP', 404, null, null, null, 'status 404']]);
  });

  test('a wait beyond the time limit is not begun: the failure is raised at once', async (t) => {
    const { url, requests } = await answering(t, [
      [503, { 'Retry-After': '30' }, '{"error":"loading","code":"NOT_READY"}'],
    ]);
    const code = `
error = error_of(lambda: Client(url, timeout=10).predict([1]))
print(json.dumps([error.code, error.retry_after]))
`;
    assert.deepEqual(await printed(code, url), [['NOT_READY', 30]]);
    assert.equal(requests(), 1);
  });

  test('an error can be pickled, as by a pool of processes', async (t) => {
    const { url } = await answering(t, [[400, {}, '{"error":"no","code":"INVALID_INPUT","path":"x"}']]);
    const code = `
import pickle
error = pickle.loads(pickle.dumps(error_of(lambda: Client(url).predict([1]))))
print(json.dumps([error.code, str(error), error.status, error.path]))
`;
    assert.deepEqual(await printed(code, url), [['INVALID_INPUT', 'no', 400, 'x']]);
  });

  test('an idle connection that the server has closed costs no repeat, and one that works is used again', async (t) => {
    const ports: (number | undefined)[] = [];
    const { url } = await serve(t, (req, res) => {
      ports.push(req.socket.remotePort);
      req.resume();
      if (ports.length === 2) res.once('close', () => req.socket.destroy());
      res.end(GOOD);
    });
    const code = `
import time
with Client(url, retries=0) as client:
    for pause in 0, 0.1, 0:
        client.predict([1])
        time.sleep(pause)
print(1)
`;
    assert.deepEqual(await printed(code, url), [1]);
    assert.equal(ports[0], ports[1]);
    assert.notEqual(ports[1], ports[2]);
  });

  test('a connection that breaks in a response, or is refused, is NETWORK and is repeated', async (t) => {
    let requests = 0;
    const { url } = await serve(t, (req, res) => {
      req.resume();
      if (++requests === 3) res.end(GOOD);
      else if (requests === 1) req.socket.destroy();
      else {
        res.writeHead(200, { 'Content-Length': '100' }).write('{"predi');
        setImmediate(() => req.socket.destroy());
      }
    });
    assert.deepEqual(await printed(CALL, url), [1]);
    const code = `
error = error_of(lambda: Client("http://127.0.0.1:1", retries=1).predict([1]))
print(json.dumps([error.code, error.status, Client("http://127.0.0.1:1").ready()]))
`;
    assert.deepEqual(await printed(code, url), [['NETWORK', null, false]]);
  });

  test('a response that refuses the body before it is read is that error, not a broken connection', async (t) => {
    const { url } = await serve(t, (_, res) => {
      res.writeHead(413).end('{"error":"too large","code":"TOO_LARGE"}');
    });
    const code = `
with Client(url, model="m", retries=0, timeout=20) as client:
    tensor = Tensor("UINT8", [1, 50_000_000], bytes(50_000_000))
    print(json.dumps(error_of(lambda: client.infer({"x": tensor})).code))
`;
    assert.deepEqual(await printed(code, url), ['TOO_LARGE']);
  });

  test('the time limit holds for a server that is silent, sends a byte at a time, or never ends', async (t) => {
    const drip = (write: (text: string) => void) => {
      const timer = setInterval(() => write('x'), 20);
      t.after(() => clearInterval(timer));
    };
    for (const handle of [
      () => {},
      (res: { write(text: string): void }) => drip((text) => res.write(text)),
      (res: { write(text: string): void; destroyed: boolean }) => {
        const write = () => {
          for (let i = 0; i < 100; i++) res.write('x'.repeat(100));
          if (!res.destroyed) setImmediate(write);
        };
        write();
      },
      ({ socket }: { socket: { write(text: string): void } | null }) => {
        socket!.write('HTTP/1.1 200 OK\r\nX-Long: ');
        drip((text) => socket!.write(text));
      },
    ]) {
      const { url } = await serve(t, (_, res) => handle(res));
      const code = 'print(json.dumps(error_of(lambda: Client(url, timeout=0.3).predict([1])).code))';
      assert.deepEqual(await printed(code, url), ['TIMEOUT']);
    }
  });

  test('header fields and a token are made for every attempt, and the error of their function ends the call', async (t) => {
    const seen: unknown[] = [];
    const { url } = await serve(t, (req, res) => {
      seen.push([req.headers.authorization, req.headers['x-team'], req.headers['content-type'], req.url]);
      req.resume();
      if (seen.length === 1) res.writeHead(503, { 'Retry-After': '0' }).end();
      else res.end(GOOD);
    });
    const code = `
tokens = iter(["t1", "t2"])
options = {"headers": lambda: {"X-Team": "a", "content-TYPE": "text/plain"}, "token": lambda: next(tokens)}
with Client(url + "/base/", model="team/churn", version="2", **options) as client:
    client.predict([1])
    try:
        client.predict([1], model="a")
    except StopIteration:
        print(1)
`;
    assert.deepEqual(await printed(code, url), [1]);
    const path = '/base/models/team%2Fchurn/versions/2/predict';
    assert.deepEqual(seen, [
      ['Bearer t1', 'a', 'application/json', path],
      ['Bearer t2', 'a', 'application/json', path],
    ]);
  });

  test('options that cannot be used are refused before anything is sent', async () => {
    const code = `
def message(call):
    try:
        call()
    except (ValueError, TypeError) as error:
        return str(error)
client = Client("http://server")
for call in (
    lambda: Client("server:8080"), lambda: Client("ftp://server"), lambda: Client("http://server", retries=-1),
    lambda: Client("http://server", timeout=0), lambda: client.metadata(), lambda: client.batch_predict([], batch_size=0),
    lambda: client.batch_predict(5), lambda: client.infer({"x": [1.0]}, model="m"), lambda: client.predict([{1}]),
    lambda: client.infer({"x": Tensor("FP32", [1, 2], [1.0])}, model="m"),
    lambda: client.infer({"x": Tensor("INT8", [1], [128])}, model="m"),
    lambda: client.infer({"x": Tensor("FP32", [1], array("d", [1]))}, model="m"),
    lambda: client.infer({"x": Tensor("FP33", [1], [1])}, model="m"),
    lambda: client.infer({"x": Tensor("BYTES", [1], "a")}, model="m"),
    lambda: client.infer({"x": Tensor("FP16", [1], [1])}, model="m", encoding="json"),
    lambda: client.infer({"x": Tensor("FP32", [1], [1])}, model="m", outputs=["y"], classes={"z": 1}),
    lambda: client.infer({"x": Tensor("FP32", [1], [1])}, model="m", encoding="text"),
):
    print(json.dumps(message(call)))
`;
    const messages = (await printed(code, 'http://server')) as string[];
    const expected = [
      ...[
        /^url: expected http or https, and a host/,
        /^url: /,
        /^retries: /,
        /^timeout: /,
        /^model: expected its name/,
      ],
      ...[/^batch_size: expected an integer above 0, got 0/, /not iterable/, /^x: expected a Tensor or a numpy array/],
      ...[/^set is not JSON/, /^x: shape \[1, 2\] holds 2 elements, data has 1$/, /^x: INT8: /],
      ...[
        /^x: FP32: expected array\("f"\), got array\("d"\)$/,
        /^x: FP33 is not a datatype/,
        /^x: BYTES: expected a seq/,
      ],
      ...[
        /^x: FP16 has no form in JSON/,
        /^classes: z is not among the requested/,
        /^encoding: expected binary or json/,
      ],
    ];
    assert.equal(messages.length, expected.length);
    for (const [i, pattern] of expected.entries()) assert.match(messages[i]!, pattern);
  });

  test('a response of infer that breaks the protocol is a BAD_ANSWER that names the place', async (t) => {
    const output = (text: string) => `{"model_name":"m","outputs":[{"name":"y",${text}}]}`;
    for (const [body, pattern, headers = {}] of [
      ['{', /^the response is not JSON/],
      ['[]', /^the response: expected an object/],
      ['{"outputs":5}', /^outputs: expected an array/],
      [output('"datatype":"FP32","shape":[2],"data":[1]'), /^y: expected 2 elements for \[2\], the response has 1/],
      [output('"datatype":"FP99","shape":[1],"data":[1]'), /^outputs\[0\]: expected a name, a datatype and a shape/],
      [output('"datatype":"INT8","shape":[1],"data":[1.5]'), /^y: element 0: expected INT8, got 1.5/],
      [output('"datatype":"UINT8","shape":[1],"data":[256]'), /^y: /],
      [output('"datatype":"FP32","shape":[1],"data":["x"]'), /^y: element 0: expected FP32, got x/],
      [
        output('"datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}'),
        /^y: binary_data_size is 4, 0 bytes/,
      ],
      ['{"outputs":[]}x', /^1 bytes of the response belong to no output/, { 'Inference-Header-Content-Length': '14' }],
      ['{}', /^Inference-Header-Content-Length is 5/, { 'Inference-Header-Content-Length': '5' }],
      [output('"datatype":"FP32","shape":[1],"data":[1]'), /^z: expected this output, got none/],
    ] as [string, RegExp, Record<string, string>?][]) {
      const { url } = await answering(t, [[200, headers, body]]);
      const code = `
error = error_of(lambda: Client(url, model="m").infer({"x": Tensor("BOOL", [1], [True])}, outputs=["z"]))
print(json.dumps([error.code, str(error)]))
`;
      const [got] = (await printed(code, url)) as [[string, string]];
      assert.equal(got[0], 'BAD_ANSWER');
      assert.match(got[1], pattern);
    }
  });
});
