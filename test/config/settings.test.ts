import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Config,
  ConfigError,
  environmentOf,
  mayCompile,
  readConfig,
  readProbeAddress,
  SETTINGS,
  type SettingName,
} from '../../functions/config/settings.ts';
import { signingKey } from '../helpers/signing-keys.ts';
import { tempFiles } from '../helpers/temp-file.ts';

type Row = [
  name: SettingName,
  byDefault: Config[SettingName],
  good: [text: string, value: Config[SettingName]][],
  bad: string[],
  takes: string,
  /** Settings without which it is refused. */
  others?: Readonly<Record<string, string>>,
];

const TOKENS = tempFiles('settings-')('tokens.json', '{"tokens":[]}');
const ISSUER = { AUTH_ISSUER: 'https://issuer.example', AUTH_AUDIENCE: 'me' };

const DAY = 86_400_000;
const TABLE: Row[] = [
  [
    'PORT',
    8080,
    [
      ['0', 0],
      ['65535', 65_535],
    ],
    ['65536', '-1', '80.5', 'http', '0x50', '8e3', '+80'],
    'a port, 0 to 65535',
  ],
  [
    'HOST',
    '127.0.0.1',
    [
      ['*', '*'],
      ['::1', '::1'],
      ['fe80::1%eth0', 'fe80::1%eth0'],
      ['my-host.example', 'my-host.example'],
    ],
    ['http://localhost', '10.0.0.0/8', 'a b', '**'],
    'an address, a host name, or * for all addresses',
  ],
  ['ADMIN_PORT', undefined, [['9090', 9090]], ['65536', 'admin'], 'a port, 0 to 65535'],
  ['ADMIN_HOST', undefined, [], ['a/b'], 'an address, a host name, or * for all addresses'],
  ['TLS_CERT_FILE', undefined, [], [], ''],
  ['TLS_KEY_FILE', undefined, [], [], ''],
  ['TLS_CLIENT_CA_FILE', undefined, [], [], ''],
  ['MAX_CONNECTIONS', undefined, [['1', 1]], ['0', '1000001', 'all'], 'a number, 1 to 1000000'],
  [
    'CORS_ORIGINS',
    undefined,
    [
      ['*', ['*']],
      ['https://a.example, http://localhost:3000', ['https://a.example', 'http://localhost:3000']],
    ],
    [
      'https://a.example/',
      'a.example',
      '*.example',
      'https://*.example',
      '*, https://a.example',
      'null',
      'https://A.example',
      'https://a.example:443',
      'ftp://a.example',
      ',',
    ],
    'origins such as https://app.example.com, separated by commas, or *',
  ],
  [
    'MAX_BODY_BYTES',
    32_505_856,
    [
      ['1', 1],
      ['1073741824', 2 ** 30],
    ],
    ['0', '1073741825', '31MiB'],
    'bytes, 1 to 1073741824',
  ],
  [
    'REQUEST_TIMEOUT_MS',
    60_000,
    [
      ['1', 1],
      ['86400000', DAY],
    ],
    ['0', '86400001', '60s'],
    'milliseconds, 1 to 86400000',
  ],
  ['SHUTDOWN_GRACE_MS', 8000, [['0', 0]], ['86400001', 'soon'], 'milliseconds, 0 to 86400000'],
  [
    'MODEL_URI',
    'models',
    [
      ['/m/my model.onnx', '/m/my model.onnx'],
      ['gs://bucket/a b/model.onnx', 'gs://bucket/a b/model.onnx'],
      ['file:///m', 'file:///m'],
    ],
    ['s3://bucket/model', 'https://example.com/model.onnx', 'GS://bucket', 'gs:/bucket', 'file://models/iris'],
    'a path, file://… or gs://bucket/…',
  ],
  ['DEFAULT_MODEL_FOLDER', undefined, [['/nowhere', '/nowhere']], [], ''],
  ['MODEL_NAME', undefined, [['iris', 'iris']], [], ''],
  [
    'MODEL_FILE',
    'model.onnx',
    [
      ['onnx/model_quantized.onnx', 'onnx/model_quantized.onnx'],
      ['my model.onnx', 'my model.onnx'],
    ],
    ['model.pb', '/m/model.onnx', '../model.onnx', 'a/../../model.onnx', './model.onnx', 'a//m.onnx', 'a\\m.onnx'],
    'a path below the folder of a model, ending in .onnx',
  ],
  [
    'MODEL_LOAD',
    undefined,
    [
      ['eager', 'eager'],
      ['lazy', 'lazy'],
    ],
    ['now', 'EAGER'],
    'eager or lazy',
  ],
  ['MODEL_LOAD_ON_REQUEST', 'on', [['off', 'off']], ['yes', 'On', 'all'], 'on, listed or off'],
  ['MODEL_NAMES', undefined, [], [',', 'a,,b', 'a,'], "models' names, separated by commas"],
  [
    'MAX_LOADED_MODELS',
    100,
    [
      ['1', 1],
      ['10000', 10_000],
    ],
    ['0', '10001', 'many'],
    'a number, 1 to 10000',
  ],
  [
    'MODEL_SHA256',
    undefined,
    [
      ['a'.repeat(64), 'a'.repeat(64)],
      ['AB'.repeat(32), 'ab'.repeat(32)],
    ],
    ['a'.repeat(63), 'g'.repeat(64), `sha256:${'a'.repeat(64)}`],
    '64 hexadecimal digits',
  ],
  ['MODEL_SIGNATURE', 'off', [], ['on', 'Required', 'optional'], 'off or required'],
  ['MODEL_PUBLIC_KEY_FILE', undefined, [], ['/nowhere/key.pem'], 'the path of a PEM file with public keys'],
  ['MODEL_CODE', 'refuse', [['allow', 'allow']], ['on', 'Allow', 'true'], 'refuse or allow'],
  ['MODEL_REFRESH_SECONDS', 0, [['60', 60]], ['-1', '1.5', '604801', '1m'], 'seconds, 0 to 604800'],
  ['MODEL_MEMORY_BUDGET', undefined, [['67108864', 67_108_864]], ['67108863', '2Gi'], 'bytes, 67108864 or more'],
  [
    'ADMIN_TOKEN_FILE',
    undefined,
    [[import.meta.filename, import.meta.filename]],
    ['/nowhere/token', import.meta.dirname, '/dev/null'],
    'the path of a file that can be read and is not empty',
  ],
  ['AUTH_TOKEN_FILE', undefined, [[TOKENS, TOKENS]], [], ''],
  [
    'AUTH_ISSUER',
    undefined,
    [
      ['https://sts.windows.net/tenant/', ['https://sts.windows.net/tenant/']],
      [
        'http://127.0.0.1:80, http://[::1] ,http://localhost',
        ['http://127.0.0.1:80', 'http://[::1]', 'http://localhost'],
      ],
    ],
    [
      'issuer.example',
      'http://issuer.example',
      'https://a.example,',
      'https://a:b@c.example',
      'https://a.example?b',
      '127.0.0.1',
    ],
    'https URLs, separated by commas',
    { AUTH_AUDIENCE: 'me' },
  ],
  ['AUTH_AUDIENCE', undefined, [['a, b', ['a', 'b']]], ['a,,b', ','], 'texts, separated by commas', ISSUER],
  [
    'AUTH_CLAIMS',
    undefined,
    [['hd=example.com', [{ name: 'hd', values: new Set(['example.com']) }]]],
    ['hd', 'hd=', 'hd=a,', '=a', 'hd=a|', 'hd=%'],
    'name=value|value,name=value',
    ISSUER,
  ],
  [
    'AUTH_QUOTA',
    undefined,
    [
      ['requests=100', { requests: 100 }],
      ['requests=1,rows=2,concurrency=3', { requests: 1, rows: 2, concurrency: 3 }],
    ],
    ['100', 'requests=0', 'requests=1.5', 'rows=-1', 'row=1', 'requests=', 'requests=1;rows=2', 'rows=9999999999'],
    'requests=…,rows=…,concurrency=…, or some of them',
    ISSUER,
  ],
  [
    'AUTH_OPEN',
    undefined,
    [['/, /docs,/openapi.json,/metrics', ['/', '/docs', '/openapi.json', '/metrics']]],
    ['/predict', '/health', '*', '/docs/', '/,'],
    'paths among / /docs /openapi.json /metrics /v2/models/{name}/ready, separated by commas',
    ISSUER,
  ],
  [
    'REDIS_URL',
    undefined,
    [
      ['redis://10.0.0.3:6379', 'redis://10.0.0.3:6379'],
      ['rediss://:secret@host/1', 'rediss://:secret@host/1'],
    ],
    ['10.0.0.3:6379', 'http://host', 'redis://'],
    'redis://[[user]:password@]host[:port][/db], or rediss:// for TLS',
  ],
  ['REDIS_TTL_SECONDS', 86_400, [['1', 1]], ['0', '31536001'], 'seconds, 1 to 31536000'],
  ['REDIS_MAX_BYTES', 536_870_912, [['0', 0]], ['-1', '512Mi'], 'bytes, 0 or more'],
  [
    'INFERENCE_PROCESSES',
    undefined,
    [
      ['1', 1],
      ['256', 256],
    ],
    ['0', '257', 'auto'],
    'a number, 1 to 256',
  ],
  ['INTRA_OP_THREADS', 1, [['4', 4]], ['0', '257'], 'a number, 1 to 256'],
  [
    'EXECUTION_PROVIDERS',
    ['cpu'],
    [
      ['cuda,cpu', ['cuda', 'cpu']],
      ['cuda', ['cuda']],
    ],
    ['gpu', 'cpu,', 'cuda;cpu', 'cuda, cpu'],
    'cpu, cuda, or both, separated by a comma',
  ],
  ['WEIGHTS', 'auto', [['mapped', 'mapped']], ['shared', 'auto,packed'], 'auto, packed or mapped'],
  ['COMPILED_MODELS', 'auto', [['on', 'on']], ['yes', 'AUTO'], 'auto, on or off'],
  ['COMPILED_FOLDER', undefined, [['/cache', '/cache']], [], 'the path of a folder'],
  [
    'MAX_BATCH_SIZE',
    64,
    [
      ['1', 1],
      ['65536', 65_536],
    ],
    ['0', '65537'],
    'a number, 1 to 65536',
  ],
  [
    'MAX_BATCH_BYTES',
    undefined,
    [
      ['1024', 1024],
      ['1073741824', 2 ** 30],
    ],
    ['1023', '1073741825', '32MiB'],
    'bytes, 1024 to 1073741824',
  ],
  [
    'MAX_BATCH_TOKENS',
    undefined,
    [
      ['1', 1],
      ['16777216', 2 ** 24],
    ],
    ['0', '16777217', '16k'],
    'a number, 1 to 16777216',
  ],
  ['BATCH_DELAY_MS', 0, [['60000', 60_000]], ['60001', '1.5'], 'milliseconds, 0 to 60000'],
  [
    'MAX_QUEUE_SIZE',
    8192,
    [
      ['1', 1],
      ['1000000', 1_000_000],
    ],
    ['0', '1000001'],
    'a number, 1 to 1000000',
  ],
  [
    'RUN_TIMEOUT_MS',
    30_000,
    [
      ['1', 1],
      ['86400000', DAY],
    ],
    ['0', '86400001'],
    'milliseconds, 1 to 86400000',
  ],
  ['LOAD_TIMEOUT_MS', 600_000, [['1', 1]], ['0', '10m'], 'milliseconds, 1 to 86400000'],
  ['PAGE', 'on', [['off', 'off']], ['no', 'true'], 'on or off'],
  [
    'LOG_LEVEL',
    'info',
    [
      ['debug', 'debug'],
      ['warning', 'warning'],
      ['error', 'error'],
    ],
    ['loud', 'INFO'],
    'debug, info, warning or error',
  ],
  ['LOG_REQUESTS', 'failed', [['all', 'all']], ['none'], 'failed or all'],
  ['LOG_TRANSPORT', 'stdout', [['cloud', 'cloud']], ['file'], 'stdout or cloud'],
  ['AIP_HTTP_PORT', undefined, [['8080', 8080]], ['65536', 'http'], 'a port, 0 to 65535'],
  ...(['AIP_PREDICT_ROUTE', 'AIP_HEALTH_ROUTE'] as const).map(
    (name): Row => [
      name,
      undefined,
      ['/', '/predict', "/v1/a.b-c_~!$&'()*+,;=@%20/x:predict"].map((path) => [path, path]),
      ['predict', 'http://x/y', '/a b', '/a?b', '/a#b', '/{name}', '/ä'],
      'a URL path that begins with /',
    ],
  ),
  ['AIP_ENDPOINT_ID', undefined, [['1234', '1234']], ['a/b', 'a{b}'], 'letters, digits, - and _'],
  ['AIP_DEPLOYED_MODEL_ID', undefined, [['12-ab_C', '12-ab_C']], ['a:b'], 'letters, digits, - and _'],
  [
    'AIP_STORAGE_URI',
    undefined,
    [
      ['gs://bucket/a/', 'gs://bucket/a/'],
      ['/m', '/m'],
    ],
    ['s3://bucket/model'],
    'gs://bucket/…, a path or file://…',
  ],
  ['K_SERVICE', undefined, [['ml-model', 'ml-model']], [], ''],
  ['GOOGLE_CLOUD_PROJECT', undefined, [['my-project', 'my-project']], [], ''],
];

/** A value that may hold a password is not shown. */
const shown = (name: string, text: string): string => (name === 'REDIS_URL' ? '…' : JSON.stringify(text));

test('every setting has its row in this table', () => {
  assert.deepEqual(TABLE.map(([name]) => name).sort(), Object.keys(SETTINGS).sort());
});

for (const [name, byDefault, good, bad, takes, others] of TABLE) {
  test(`${name} is ${JSON.stringify(byDefault) ?? 'unset'} where nothing is set, and takes what it says`, () => {
    for (const env of [{}, { [name]: '' }, { [name]: '  ' }]) assert.deepEqual(readConfig(env)[name], byDefault);
    for (const [text, value] of good) {
      assert.deepEqual(readConfig({ ...others, [name]: text })[name], value, text);
      assert.deepEqual(readConfig({ ...others, [name]: ` ${text} ` })[name], value, 'blanks around it');
    }
    for (const text of bad) {
      assert.throws(
        () => readConfig({ ...others, [name]: text }),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError, text);
          assert.ok(
            error.message.startsWith(`${name}=${shown(name, text)} is not usable: it takes ${takes}`),
            error.message,
          );
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    }
  });
}

test('the port and the address that Vertex AI sets replace those of the image', () => {
  const image = { PORT: '9000', MODEL_URI: '/models' };
  const { PORT, MODEL_URI } = readConfig({ ...image, AIP_HTTP_PORT: '8080', AIP_STORAGE_URI: 'gs://b/m/' });
  assert.deepEqual([PORT, MODEL_URI], [8080, 'gs://b/m/']);
  // It sets an empty address where the model was uploaded without files.
  const without = readConfig({ ...image, AIP_HTTP_PORT: '', AIP_STORAGE_URI: '' });
  assert.deepEqual([without.PORT, without.MODEL_URI], [9000, '/models']);
});

test('without MODEL_URI the default folder is served if there is anything in it, else the default of MODEL_URI', () => {
  const folder = mkdtempSync(join(tmpdir(), 'default-models-'));
  const image = { DEFAULT_MODEL_FOLDER: folder };
  const served = (env: NodeJS.ProcessEnv = image): string => readConfig(env).MODEL_URI;
  try {
    assert.equal(served(), 'models');
    mkdirSync(join(folder, 'fraud'));
    assert.equal(served(), folder);
    assert.equal(served({ ...image, MODEL_URI: ' ' }), folder);
    assert.equal(served({ ...image, MODEL_URI: 'models' }), 'models', 'an address that is set goes before it');
    assert.equal(served({ ...image, AIP_STORAGE_URI: 'gs://b/m' }), 'gs://b/m');
  } finally {
    rmSync(folder, { recursive: true });
  }
  assert.equal(served(), 'models', 'a folder that does not exist');
  // `COPY model.onnx /models` makes a file of that name: its load fails, and another model must not be served in its place.
  assert.equal(served({ DEFAULT_MODEL_FOLDER: import.meta.filename }), import.meta.filename);
});

test('the error of an invalid value is one line, whatever the value', () => {
  assert.throws(() => readConfig({ LOG_LEVEL: 'a\nb' }), {
    message: 'LOG_LEVEL="a\\nb" is not usable: it takes debug, info, warning or error',
  });
});

test('every setting says what it takes and what it is for', () => {
  for (const [name, { takes, doc }] of Object.entries(SETTINGS)) {
    assert.match(name, /^[A-Z][A-Z0-9_]+$/);
    assert.ok(takes.length > 0, name);
    assert.match(doc, /^\S.*\.$/s, name);
  }
});

test('other variables of the environment are of no concern', () => {
  assert.deepEqual(readConfig({ PATH: '/bin', port: '1', HOME: 'x' }), readConfig({}));
  assert.deepEqual(Object.keys(readConfig({})).sort(), Object.keys(SETTINGS).sort());
});

test('the address for probes is read without any other setting: that of the admin port if there is one', () => {
  const others = { MAX_BATCH_SIZE: 'many', ADMIN_TOKEN_FILE: '/nowhere' };
  const read = (env: Record<string, string>) => readProbeAddress({ ...others, ...env });
  assert.deepEqual(read({}), { host: '127.0.0.1', port: 8080, tls: false });
  assert.deepEqual(read({ PORT: '81', HOST: '*' }), { host: '*', port: 81, tls: false });
  assert.equal(read({ PORT: '81', AIP_HTTP_PORT: '82' }).port, 82);
  assert.deepEqual(read({ HOST: '::', ADMIN_PORT: '83' }), { host: '::', port: 83, tls: false });
  assert.deepEqual(read({ ADMIN_PORT: '83', ADMIN_HOST: '::1', TLS_CERT_FILE: '/c' }), {
    host: '::1',
    port: 83,
    tls: true,
  });
  assert.throws(() => readProbeAddress({ PORT: 'http' }), ConfigError);
});

test('the server listens on loopback alone, except on Cloud Run, on Vertex AI, and where HOST is set', () => {
  assert.equal(readConfig({}).HOST, '127.0.0.1');
  assert.equal(readConfig({ K_SERVICE: 'ml-model' }).HOST, '*');
  assert.equal(readConfig({ AIP_HTTP_PORT: '8080' }).HOST, '*');
  assert.equal(readConfig({ HOST: '10.0.0.5', K_SERVICE: 'ml-model' }).HOST, '10.0.0.5');
  assert.equal(readConfig({ HOST: '*' }).HOST, '*');
});

test('settings of ports and certificates that contradict each other are refused in one line', () => {
  const tls = { TLS_CERT_FILE: '/c', TLS_KEY_FILE: '/k' };
  for (const [env, message] of [
    [{ TLS_CERT_FILE: '/c' }, 'TLS_CERT_FILE is set and TLS_KEY_FILE is not: set both, or none'],
    [{ TLS_KEY_FILE: '/k' }, 'TLS_KEY_FILE is set and TLS_CERT_FILE is not: set both, or none'],
    [{ TLS_CLIENT_CA_FILE: '/a' }, 'TLS_CLIENT_CA_FILE is set and TLS_CERT_FILE is not: client certificates need TLS'],
    [
      { ...tls, TLS_CLIENT_CA_FILE: '/a' },
      'TLS_CLIENT_CA_FILE is set and ADMIN_PORT is not: set it for probes, which have no client certificate',
    ],
    [{ ADMIN_HOST: '::1' }, 'ADMIN_HOST is set and ADMIN_PORT is not: set both, or none'],
    [{ PORT: '81', ADMIN_PORT: '81' }, 'ADMIN_PORT=81 is not usable: it is the port for requests too'],
    [{ AIP_HTTP_PORT: '81', ADMIN_PORT: '81' }, 'ADMIN_PORT=81 is not usable: it is the port for requests too'],
  ] as const) {
    assert.throws(() => readConfig({ ...env }), { name: 'ConfigError', message });
  }
  readConfig({ ...tls, TLS_CLIENT_CA_FILE: '/a', ADMIN_PORT: '81' });
  readConfig({ PORT: '0', ADMIN_PORT: '0' });
});

test("a route of Vertex AI's that names another model than MODEL_NAME is refused at start", () => {
  const routes = ['/v1/models/other:predict', '/v1/models/other/versions/2:predict', '/v2/models/other/infer'];
  for (const AIP_PREDICT_ROUTE of [...routes, '/models/other/predict', '/v1/models/o%74her:predict']) {
    assert.throws(() => readConfig({ AIP_PREDICT_ROUTE, MODEL_NAME: 'iris' }), {
      name: 'ConfigError',
      message: `AIP_PREDICT_ROUTE="${AIP_PREDICT_ROUTE}" is not usable: it names the model other, and MODEL_NAME is iris: name the same model in both`,
    });
    readConfig({ AIP_PREDICT_ROUTE, MODEL_NAME: 'other' });
    readConfig({ AIP_PREDICT_ROUTE });
  }
  assert.throws(
    () => readConfig({ AIP_HEALTH_ROUTE: '/v1/models/other', MODEL_NAME: 'iris' }),
    /^ConfigError: AIP_HEALTH/,
  );
  for (const AIP_PREDICT_ROUTE of ['/predict', '/v1/endpoints/1/deployedModels/2:predict', '/x/models/other:predict'])
    readConfig({ AIP_PREDICT_ROUTE, MODEL_NAME: 'iris' });
});

test('a list of names and the mode that reads it are set together', () => {
  const { MODEL_NAMES } = readConfig({ MODEL_LOAD_ON_REQUEST: 'listed', MODEL_NAMES: ' iris, team/churn ,a b' });
  assert.deepEqual(MODEL_NAMES, ['iris', 'team/churn', 'a b']);
  assert.throws(() => readConfig({ MODEL_LOAD_ON_REQUEST: 'listed' }), {
    message: 'MODEL_LOAD_ON_REQUEST="listed" is not usable: MODEL_NAMES is not set: name the models in it',
  });
  for (const mode of ['on', 'off', '']) {
    assert.throws(
      () => readConfig({ MODEL_LOAD_ON_REQUEST: mode, MODEL_NAMES: 'iris' }),
      /MODEL_NAMES names models, and takes effect only if it is listed$/,
    );
  }
});

test('required signatures and the keys that verify them are set together', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'keys.pem');
  writeFileSync(file, signingKey('ed25519').pem + signingKey('p256').pem);
  const { MODEL_PUBLIC_KEY_FILE } = readConfig({ MODEL_SIGNATURE: 'required', MODEL_PUBLIC_KEY_FILE: file });
  assert.equal(MODEL_PUBLIC_KEY_FILE, file);
  assert.throws(() => readConfig({ MODEL_SIGNATURE: 'required' }), {
    message:
      'MODEL_SIGNATURE="required" is not usable: MODEL_PUBLIC_KEY_FILE is not set: name the file of the keys in it',
  });
  assert.throws(() => readConfig({ MODEL_PUBLIC_KEY_FILE: file }), {
    message:
      'MODEL_SIGNATURE="off" is not usable: MODEL_PUBLIC_KEY_FILE is set, and takes effect only if it is required',
  });
  writeFileSync(file, signingKey('small-rsa').pem);
  assert.throws(
    () => readConfig({ MODEL_SIGNATURE: 'required', MODEL_PUBLIC_KEY_FILE: file }),
    /it takes the path of a PEM/,
  );
});

test('models are compiled on the CPU alone, and not if they must be signed', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'compiled-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'keys.pem');
  writeFileSync(file, signingKey('ed25519').pem);
  const on = { COMPILED_MODELS: 'on' };
  assert.deepEqual(
    [{}, on].map((env) => mayCompile(readConfig(env))),
    [true, true],
  );
  for (const env of [
    { COMPILED_MODELS: 'off' },
    { ...on, EXECUTION_PROVIDERS: 'cuda,cpu' },
    { ...on, MODEL_SIGNATURE: 'required', MODEL_PUBLIC_KEY_FILE: file },
  ]) {
    assert.equal(mayCompile(readConfig(env)), false, JSON.stringify(env));
  }
});

test('an environment of given settings has no other setting of this process, and all variables that are none', (t) => {
  const before = { ...process.env };
  t.after(() => {
    process.env = before;
  });
  Object.assign(process.env, { AUTH_TOKEN_FILE: '/run/token', MAX_BATCH_SIZE: '7', LANG: 'C' });
  const env = environmentOf({ MAX_BATCH_SIZE: '9' });
  assert.deepEqual([env.LANG, env.MAX_BATCH_SIZE, env.AUTH_TOKEN_FILE], ['C', '9', '']);
  assert.deepEqual(readConfig(env), readConfig({ MAX_BATCH_SIZE: '9' }));
});
