import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { freePort, type Host, type HostKind, startHost } from '../helpers/hosts.ts';
import { identity, notFinite, writeModel } from '../helpers/models.ts';
import { blocks, PAGES, readPage, section } from '../helpers/readme.ts';
import { until } from '../helpers/until.ts';
import { ROOT, run, serve } from './program.ts';
import { PYTHONS, python, WITH_CLIENT } from './python.ts';

/** Sends 300 000 rows, about 9 MB, and only then reads: the answers are far more than the buffers of both sides hold. */
const SENDS_FIRST = `
import http.client, sys

connection = http.client.HTTPConnection("localhost", int(sys.argv[1]))
body = b'{"features":[5.1,3.5,1.4,0.2]}\\n' * 300000
connection.request("POST", "/batch_predict", body=body, headers={"Content-Type": "application/x-ndjson"})
response = connection.getresponse()
lines = response.read().splitlines()
print(response.status, len(lines))
print(lines[-1].decode())
`;

test('every Python block of a page is Python', async () => {
  const shown = PAGES.flatMap((page) => blocks(readPage(page))).filter(({ language }) => language === 'python');
  assert.ok(shown.length > 5, String(shown.length));
  for (const { text } of shown) {
    const { stderr, code } = await run('python3', ['-c', 'import ast, sys; ast.parse(sys.argv[1])', text]);
    assert.equal(code, 0, `${text}\n${stderr}`);
  }
});

test('the Python client of docs/clients.md sends and reads 20 000 rows', async () => {
  const server = await serve(['scripts/start.ts']);
  try {
    const client = blocks(section('docs/clients.md', 'Python')).find(({ language }) => language === 'python')!;
    const typed = client.text.replace('"localhost", 8080', `"localhost", ${server.port}`);
    const { stdout, stderr, code } = await run('python3', ['-c', typed]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^\{'done': True, 'ok': 20000, 'failed': 0\} \{.*0: \d+.*\}\n$/);
  } finally {
    await server.stop();
  }
});

test('a Python client that sends everything before it reads gets an end that explains it, not a hang', async () => {
  const server = await serve(['scripts/start.ts'], { REQUEST_TIMEOUT_MS: '2000' });
  try {
    const { stdout, stderr, code } = await run('python3', ['-c', SENDS_FIRST, String(server.port)]);
    assert.equal(code, 0, stderr);
    const [head, last] = stdout.split('\n') as [string, string];
    const [status, lines] = head.split(' ').map(Number) as [number, number];
    assert.equal(status, 200);
    const end = JSON.parse(last);
    assert.deepEqual({ ...end, message: '' }, { done: false, next_index: lines - 1, code: 'IDLE', message: '' });
    assert.match(end.message, /not read for 2000 ms: read it while you send/);
  } finally {
    await server.stop();
  }
});

/** Every call, its errors, and the values that JSON and arrays lose easily. */
const CALLS = `
def identity(dtype, tensor, **options):
    return client.infer({"x": tensor}, model=dtype, outputs=["y"], id="i", **options).outputs["y"]

with Client(url) as client:
    print(json.dumps(client.ready()))
    result = client.predict([1, 2.5])
    print(json.dumps([result.prediction, result.outputs, result.model.name, result.model.version]))
    print(json.dumps(client.predict([-1], model="logarithm").prediction))
    print(json.dumps(client.predict(array("f", [math.nan, math.inf]), model="float32").prediction))
    print(json.dumps(client.predict((2**53 + 1, -(2**63)), model="int64").prediction))
    print(json.dumps(client.predict(["é€😀", ""], model="string").prediction))
    error = error_of(lambda: client.predict([1]))
    print(json.dumps([error.code, error.status, error.path, error.request_id is not None]))
    unknown = error_of(lambda: client.metadata(model="nothing"))
    print(json.dumps([unknown.code, unknown.status, client.ready(model="int64"), error_of(lambda: client.ready(model="nothing")).status]))
    rows = client.batch_predict(([1, i] if i != 7 else [1] for i in range(20)), batch_size=4)
    print(json.dumps([[row.index, row.error.code, row.error.path] if row.error else row.prediction[1] for row in rows]))
    metadata = client.metadata(model="int64")
    print(json.dumps([metadata["platform"], metadata["inputs"]]))
    print(json.dumps("binary_tensor_data" in client.server_metadata()["extensions"]))
    tensors = {
        "bool": ("BOOL", [True, False]), "uint8": ("UINT8", [0, 255]), "uint16": ("UINT16", [1, 65_535]),
        "uint32": ("UINT32", [1, 2**32 - 1]), "uint64": ("UINT64", [1, 2**64 - 1]), "int8": ("INT8", [-128, 127]),
        "int16": ("INT16", [-(2**15), 2**15 - 1]), "int32": ("INT32", [-(2**31), 2**31 - 1]),
        "int64": ("INT64", [2**53 + 1, -(2**63)]), "float32": ("FP32", [0.5, -0.0]), "float64": ("FP64", [0.1, 1e308]),
        "string": ("BYTES", ["é€😀", ""]),
    }
    wrong = []
    for model, (datatype, data) in tensors.items():
        for encoding in "binary", "json":
            y = identity(model, Tensor(datatype, [1, 2], data), encoding=encoding)
            if (y.datatype, y.shape, list(y.data)) != (datatype, (1, 2), data):
                wrong.append([model, encoding, list(y.data)])
    print(json.dumps(wrong))
    print(json.dumps(list(identity("float16", Tensor("FP16", [1, 2], array("H", [0x3C00, 1]))).data)))
    print(json.dumps(list(identity("float16", Tensor("FP16", [1, 2], [1.0, -2.0])).data)))
    nan = identity("float32", Tensor("FP32", [1, 2], [math.nan, -math.inf]), encoding="json").data
    print(json.dumps([math.isnan(nan[0]), nan[1] == -math.inf]))
    highest = client.infer({"x": Tensor("INT64", [2, 2], [1, 2, 9, 4])}, model="int64", outputs={"y": "BYTES"}, classes={"y": 1})
    print(json.dumps([list(highest.outputs["y"].shape), highest.outputs["y"].data, highest.model_name, highest.id]))
    scored = [client.predict([0.25, 0.5], model="scores"), *client.batch_predict([[1, 0.75]], model="scores")]
    print(json.dumps([[one.prediction, one.label, [[of.label, of.score] for of in one.scores]] for one in scored] + [result.scores]))
    print(json.dumps("numpy" in sys.modules))
`;
const PRINTED = [
  true,
  [[1, 2.5], { y: [1, 2.5] }, 'float32', '1'],
  ['NaN'],
  ['NaN', 'Infinity'],
  '[9007199254740993, -9223372036854775808]',
  ['é€😀', ''],
  ['INVALID_INPUT', 400, 'features', true],
  ['NOT_FOUND', 404, true, 404],
  Array.from({ length: 20 }, (_, i) => (i === 7 ? [7, 'INVALID_INPUT', 'features'] : i)),
  ['onnx_onnxv1', [{ name: 'x', datatype: 'INT64', shape: [-1, 2] }]],
  true,
  [],
  [0x3c00, 1],
  [0x3c00, 0xc000],
  [true, true],
  [[2, 1], ['2:1', '9:0'], 'int64', null],
  [['yes', null, [['yes', 0.5]]], ['no', null, [['no', 1]]], null],
  false,
];
const NUMPY = `
import importlib.util
if importlib.util.find_spec("numpy") is None:
    print("there is no numpy")
    sys.exit()
import numpy
with Client(url) as client:
    arrays = {
        "float32": numpy.array([[0.5, -1]], "f4"), "float64": numpy.array([[0.1, 2]], ">f8"), "float16": numpy.array([[1, 2]], "f2"),
        "int64": numpy.array([[2**53 + 1, 1]]), "uint8": numpy.array([[0, 255], [1, 2]], "u1")[:, ::-1],
        "bool": numpy.array([[True, False]]), "string": numpy.array([["é", ""]]),
    }
    for model, x in arrays.items():
        y = client.infer({"x": x}, model=model).outputs["y"]
        back = numpy.array(y.data).reshape(y.shape) if y.datatype == "BYTES" else numpy.asarray(y)
        assert back.shape == x.shape and (back == x).all(), (model, back)
        assert y.datatype == "BYTES" or back.dtype == x.dtype.newbyteorder("="), (model, back.dtype)
    assert client.predict(arrays["float32"][0], model="float32").prediction == [0.5, -1]
    objects = numpy.array([["a", "b"]], dtype=object)
    assert client.infer({"x": objects}, model="string").outputs["y"].data == ["a", "b"]
print("the arrays are the same")
`;
/** 100 000 rows: the memory after the first 20 000 is enough for all. */
const MEMORY = `
import resource
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Client(url) as client:
    first = None
    count = 0
    for row in client.batch_predict([i, i + 0.5] for i in range(100_000)):
        assert (row.index, row.prediction) == (count, [count, count + 0.5]), row
        count += 1
        if count == 20_000:
            first = peak()
print(json.dumps([count, peak() - first < 4096]))
`;

/** Calls and streams of 8 threads with one client: each gets its own results. */
const THREADS = `
from concurrent.futures import ThreadPoolExecutor
with Client(url) as client:
    def work(number):
        for i in range(50):
            assert client.predict([number, i]).prediction == [number, i]
            y = client.infer({"x": Tensor("FP32", [1, 2], [i, number])}, model="float32").outputs["y"]
            assert list(y.data) == [i, number]
        rows = client.batch_predict([number, i] for i in range(2000))
        assert [row.prediction for row in rows] == [[number, i] for i in range(2000)]
        return number
    with ThreadPoolExecutor(8) as pool:
        print(json.dumps(list(pool.map(work, range(8)))))
`;

/** A process and its child, which has the sockets of the parent. */
const FORK = `
import os
with Client(url) as client:
    client.predict([0, 0])
    child = os.fork()
    me = 1 if child == 0 else 2
    ok = all(client.predict([me, i]).prediction == [me, i] for i in range(200))
    if child == 0:
        os._exit(0 if ok else 1)
    print(json.dumps([ok, os.waitpid(child, 0)[1]]))
`;

const models = mkdtempSync(join(tmpdir(), 'python-client-'));
for (const dtype of [
  ...(['bool', 'uint8', 'uint16', 'uint32', 'uint64', 'int8', 'int16', 'int32', 'int64'] as const),
  ...(['float16', 'float32', 'float64', 'string'] as const),
])
  writeModel(models, dtype, identity(dtype, ['N', 2]));
writeModel(models, 'logarithm', notFinite());
writeModel(models, 'scores', identity('float32', ['N', 2]), { classes: ['no', 'yes'], output: { top: 1 } });
after(() => rmSync(models, { recursive: true }));
const ENV = { MODEL_URI: models, MODEL_NAME: 'float32', INFERENCE_PROCESSES: '1' };

test('the client is one file for Python 3.9 and newer, of the version of the server, without a dependency', async () => {
  const parse =
    'import ast, sys; ast.parse(open("clients/python/onnx_cloud_run.py").read(), feature_version=(3, 9)); print(sys.version)';
  assert.ok(PYTHONS.length > 0);
  for (const program of PYTHONS) {
    const { code, stderr } = await run(program, [
      '-W',
      'error',
      '-c',
      `import os; os.chdir(${JSON.stringify(ROOT)})\n${parse}`,
    ]);
    assert.equal(code, 0, stderr);
  }
  const project = readFileSync(join(ROOT, 'clients/python/pyproject.toml'), 'utf8');
  assert.match(project, /^dependencies = \[\]$/m);
  assert.match(project, /^requires-python = ">=3\.9"$/m);
  const source = readFileSync(join(ROOT, 'clients/python/onnx_cloud_run.py'), 'utf8');
  const imported = Array.from(source.matchAll(/^(?:import|from) ([\w]+)/gm), ([, name]) => name!);
  const standard = await run(PYTHONS[0]!, [
    '-c',
    'import sys; print(*getattr(sys, "stdlib_module_names", sys.argv[1:]))',
    ...imported,
  ]);
  const names = standard.stdout.split(/\s/);
  assert.deepEqual(
    imported.filter((name) => !names.includes(name)),
    [],
  );
});

for (const kind of ['container', 'functions'] as const)
  describe(`the Python client with the ${kind} host`, () => {
    const host = withHost(kind);

    for (const program of PYTHONS)
      test(`makes every call, and keeps every value: ${program}`, async () => {
        const { stdout, stderr, code } = await python(CALLS, [host().url], program);
        assert.deepEqual([code, stderr], [0, '']);
        const lines = stdout.trimEnd().split('\n');
        assert.deepEqual(
          // JSON.parse loses the digits of the fifth line.
          lines.map((line, i) => (i === 4 ? line : JSON.parse(line))),
          PRINTED,
        );
      });

    test('takes and gives arrays of numpy, if it is installed', async () => {
      const { stdout, stderr, code } = await python(NUMPY, [host().url]);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /^(the arrays are the same|there is no numpy)\n$/);
    });

    test('has connections of its own in a child process', async () => {
      const { stdout, stderr, code } = await python(FORK, [host().url]);
      assert.deepEqual([code, stderr, stdout], [0, '', '[true, 0]\n']);
    });

    test('gives each of 8 threads its own results', async () => {
      const { stdout, stderr, code } = await python(THREADS, [host().url]);
      assert.deepEqual([code, stderr, stdout], [0, '', '[0, 1, 2, 3, 4, 5, 6, 7]\n']);
    });

    test('streams 100 000 rows in flat memory', async () => {
      const { stdout, stderr, code } = await python(MEMORY, [host().url]);
      assert.deepEqual([code, stderr, stdout], [0, '', '[100000, true]\n']);
    });
  });

function withHost(kind: HostKind): () => Host {
  let host: Host | undefined;
  before(async () => {
    host = await startHost(kind, ENV);
    await until(() => isReady(host!.url), 'the model to be ready', 60_000);
  });
  after(() => host?.stop());
  return () => host!;
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/ready`);
  await response.arrayBuffer();
  return response.ok;
}

test('a stream continues with the server that replaces one that shuts down, and each row gets one result', async () => {
  const port = String(await freePort());
  const leaving = await startHost('container', { ...ENV, PORT: port });
  await until(() => isReady(leaving.url), 'the model to be ready', 60_000);
  const code = `
import sys
from onnx_cloud_run import Client
with Client(sys.argv[1], retries=30) as client:
    next_index = 0
    for row in client.batch_predict(([i, i + 0.5] for i in range(30_000)), max_unanswered=500):
        assert (row.index, row.prediction) == (next_index, [row.index, row.index + 0.5]), row
        next_index += 1
        if next_index == 1000:
            print("1000", flush=True)
print(next_index)
`;
  const child = spawn(PYTHONS[0]!, [...WITH_CLIENT.flags, '-c', code, leaving.url], {
    env: { ...process.env, ...WITH_CLIENT.env },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  let coming: Promise<Host> | undefined;
  const lines: string[] = [];
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === '1000') coming = leaving.stop().then(() => startHost('container', { ...ENV, PORT: port }));
      lines.push(line);
    }
    assert.deepEqual(lines, ['1000', '30000']);
  } finally {
    await ((await coming) ?? leaving).stop();
  }
});

const README = 'clients/python/README.md';
for (const page of ['docs/clients.md', README])
  test(`the programs of ${page} with the client run as they are`, async () => {
    const server = await serve(['scripts/start.ts']);
    try {
      const programs = blocks(readPage(page)).filter(
        ({ language, text }) => language === 'python' && text.includes('onnx_cloud_run'),
      );
      assert.ok(programs.length > 0);
      for (const { text } of programs) {
        const code = text.replaceAll('localhost:8080', `localhost:${server.port}`);
        const program = [...WITH_CLIENT.flags, '-c', code];
        const { stdout, stderr, code: exit } = await run(PYTHONS[0]!, program, WITH_CLIENT.env);
        assert.deepEqual([exit, stderr], [0, ''], text);
        const printed = blocks(readPage(page)).find(({ language }) => language === 'text')!.text;
        if (page === README) assert.equal(stdout, printed);
      }
    } finally {
      await server.stop();
    }
  });
