import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type App, createApp } from '../../functions/app.ts';
import { readConfig } from '../../functions/config/settings.ts';
import { createHttpServer } from '../../functions/http/connection/http-server.ts';
import type { Route } from '../../functions/http/router.ts';
import { AUDIENCE, type Issuer, sha256, startIssuer } from '../helpers/issuer.ts';
import { identity, writeModel } from '../helpers/models.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';

const ALL = 'token-of-all-models';
const ROSE = 'token-of-rose-alone';
const NOTHING = 'token-of-no-model';
const ADMIN = 'token-of-the-administrator';
const OTHERS_TOKEN = 'token-of-nobody';
const VERTEX = { AIP_PREDICT_ROUTE: '/vertex:predict', AIP_HEALTH_ROUTE: '/vertex-health' };

/** The kinds of routes, each with what decides who may use it. */
type Kind = 'open' | 'page' | 'admin' | 'named' | 'main' | 'metrics' | 'list' | 'any';
const KINDS: Record<string, Kind> = {
  'GET /': 'page',
  'GET /page/page.css': 'page',
  'GET /page/page.js': 'page',
  'GET /docs': 'page',
  'GET /docs/docs.css': 'page',
  'GET /docs/docs.js': 'page',
  'GET /docs/swagger-ui.css': 'page',
  'GET /docs/swagger-ui-bundle.js': 'page',
  'GET /openapi.json': 'any',
  'POST /predict': 'main',
  'POST /batch_predict': 'main',
  'POST /vertex:predict': 'main',
  'GET /vertex-health': 'open',
  'GET /health': 'open',
  'GET /ready': 'open',
  'GET /metrics': 'metrics',
  'GET /models': 'list',
  'GET /v1/models': 'list',
  'GET /v2/models': 'list',
  'POST /v2/repository/index': 'list',
  'POST /embed': 'main',
  'POST /embed_all': 'main',
  'POST /embed_sparse': 'main',
  'POST /similarity': 'main',
  'POST /rerank': 'main',
  'POST /tokenize': 'main',
  'GET /info': 'main',
  // The body may name another model.
  'POST /v1/embeddings': 'main',
  'GET /v2/models/stats': 'list',
  'GET /v2': 'any',
  'GET /v2/': 'any',
  'GET /v2/health/live': 'open',
  'GET /v2/health/ready': 'open',
  'GET /v2/logging': 'any',
  'POST /v2/logging': 'admin',
  'GET /v2/trace/setting': 'any',
  'POST /v2/trace/setting': 'admin',
  'POST /v2/models/{name}/trace/setting': 'admin',
  'POST /v2/repository/models/{name}/load': 'admin',
  'POST /v2/repository/models/{name}/unload': 'admin',
};
/** Routes for models of texts, which none of these is: the status is that of a model for another task. */
const TEXTS = /^\/v1\/embeddings$|\/(embed|embed_all|embed_sparse|similarity|rerank|tokenize|info)$/;
const SHARED_MEMORY = /^\/v2\/(system|cuda)sharedmemory\//;

function kindOf({ method, path }: Route): Kind {
  const kind = KINDS[`${method} ${path}`];
  if (kind !== undefined) return kind;
  if (path.includes('{name}')) return 'named';
  if (SHARED_MEMORY.test(path)) return 'any';
  return assert.fail(`${method} ${path} is a new route: say in KINDS who may use it`);
}

let folder = '';
let issuer: Issuer;
let app: App;
let url = '';
let close: () => void;
const telemetry = recordTelemetry();

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'every-route-'));
  const models = join(folder, 'models');
  writeModel(models, 'iris', identity(), { example: { features: [1, 2, 3, 4] } });
  writeModel(models, 'rose', identity());
  const tokens = [
    { name: 'all', sha256: sha256(ALL), metrics: true },
    { name: 'rose', sha256: sha256(ROSE), models: ['rose'] },
    { name: 'nothing', sha256: sha256(NOTHING), models: [] },
  ];
  writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ tokens }));
  writeFileSync(join(folder, 'admin'), ADMIN);
  issuer = await startIssuer();
  const config = readConfig({
    MODEL_URI: models,
    MODEL_NAME: 'iris',
    ADMIN_TOKEN_FILE: join(folder, 'admin'),
    AUTH_TOKEN_FILE: join(folder, 'tokens.json'),
    AUTH_ISSUER: issuer.url,
    AUTH_AUDIENCE: AUDIENCE,
    AUTH_CLAIMS: 'groups=ml,email=ada@example.com|bob@example.com',
    ...VERTEX,
  });
  app = createApp(config, telemetry.logger);
  const http = createHttpServer({ handler: app.handler, maxBodyBytes: 2 ** 20, maxConnections: 100, ...telemetry });
  await new Promise<void>((resolve) => http.server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(http.server.address() as { port: number }).port}`;
  close = () => http.close();
  await app.model.whenLive();
});

after(async () => {
  close();
  await Promise.all([app.close(), issuer.close()]);
  telemetry.metrics.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly challenge: string | null;
  readonly text: string;
}

async function ask({ method, path }: Pick<Route, 'method' | 'path'>, token?: string, name = 'iris'): Promise<Answer> {
  const at = path.replace('{name}', name).replace('{version}', '1').replace('{label}', 'a').replace('{region}', 'r');
  const lines = path.includes('batch_predict');
  const headers: Record<string, string> = { 'content-type': lines ? 'application/x-ndjson' : 'application/json' };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const body = method === 'GET' ? null : lines ? '{"features":[1,2,3,4]}\n' : bodyOf(path);
  const response = await fetch(url + at, { method, headers, body });
  const challenge = response.headers.get('www-authenticate');
  return { status: response.status, challenge, text: await response.text() };
}

function bodyOf(path: string): string {
  const tensor = { name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] };
  if (path.endsWith('/infer')) return JSON.stringify({ inputs: [tensor] });
  if (path.includes('/v2/')) return '{}';
  return JSON.stringify(path.endsWith(':predict') ? { instances: [[1, 2, 3, 4]] } : { features: [1, 2, 3, 4] });
}

const REALM = 'Bearer realm="onnx-cloud-run"';
/** Nothing of the models, of the settings, or of the callers. */
const TOLD = /iris|rose|sha256|FP32|float|version|\/tmp|ada@|AUTH_/;

function assertRefused(where: string, { status, challenge, text }: Answer, kind: string | undefined): void {
  assert.equal(status, 401, where);
  if (kind === undefined) assert.equal(challenge, REALM, where);
  else
    assert.match(challenge!, new RegExp(`^${REALM}, error="invalid_token", error_description="[\\w .,:_-]+"$`), where);
  const { code, error, request_id, error_type = 'validation', ...more } = JSON.parse(text);
  if (where.includes(' /v1/embeddings,')) {
    assert.deepEqual([error.code, error.type, error.param], ['invalid_api_key', 'invalid_request_error', null], where);
  } else
    assert.deepEqual([code, typeof request_id, error_type, more], ['UNAUTHORIZED', 'string', 'validation', {}], where);
  assert.doesNotMatch(error.message ?? error, TOLD, where);
}

/** Without the right token: what a caller sends, and whether it is a token at all. */
const REFUSED: [title: string, token: () => Promise<string | undefined>][] = [
  ['no token', async () => undefined],
  ['a wrong token', async () => OTHERS_TOKEN],
  ['an expired JWT', () => issuer.sign({ expiresIn: -31 })],
  ['a JWT for another audience', () => issuer.sign({ claims: { aud: 'https://other.example' } })],
  ['a JWT of another issuer', () => issuer.sign({ claims: { iss: 'https://other.example' } })],
  ['a JWT that is not valid yet', () => issuer.sign({ claims: { nbf: Math.floor(Date.now() / 1000) + 60 } })],
  ['a JWT without the claims', () => issuer.sign({ claims: { groups: ['sales'] } })],
  ['a JWT with an unverified email address', () => issuer.sign({ claims: { email_verified: false } })],
  ['an unsigned JWT', () => issuer.sign({ algorithm: 'none' })],
  ['a JWT signed with the public key as a secret', () => issuer.sign({ algorithm: 'HS256' })],
  ['a JWT with a changed signature', async () => (await issuer.sign()).replace(/.{8}$/, 'AAAAAAAA')],
  ['the admin token', async () => ADMIN],
];

describe('every route of a server with AUTH_TOKEN_FILE and AUTH_ISSUER', () => {
  for (const [title, tokenOf] of REFUSED) {
    test(`${title}: refused, with nothing told; probes are open`, async () => {
      const token = await tokenOf();
      for (const route of app.routes) {
        const kind = kindOf(route);
        if (kind === 'admin' && token === ADMIN) continue;
        const where = `${route.method} ${route.path}, ${title}`;
        const answer = await ask(route, token);
        if (kind !== 'open') {
          assertRefused(where, answer, token === undefined ? undefined : 'invalid_token');
          continue;
        }
        assert.equal(answer.status, 200, where);
        assert.doesNotMatch(answer.text, TOLD, where);
      }
    });
  }

  test("another model's token: 404 as for a model that does not exist, and lists without the model", async () => {
    for (const token of [ROSE, NOTHING]) {
      for (const route of app.routes) {
        const kind = kindOf(route);
        const where = `${route.method} ${route.path}, ${token}`;
        const answer = await ask(route, token);
        if (kind === 'admin') assertRefused(where, answer, 'invalid_token');
        else if (kind === 'metrics') {
          assert.equal(answer.status, 403, where);
          assert.match(
            answer.challenge!,
            /^Bearer realm="onnx-cloud-run", error="insufficient_scope", error_description="[^"]+"$/,
          );
        } else if (kind === 'main') assert.equal(answer.status, 404, where);
        else if (kind === 'named') {
          assert.equal(answer.status, 404, where);
          const missing = await ask(route, token, 'none');
          assert.equal(withoutId(answer.text), withoutId(missing.text).replaceAll('none', 'iris'), where);
        } else assert.ok(answer.status < 400 || answer.status === 501, `${where}: ${answer.status}`);
        if (kind === 'page') continue;
        assert.doesNotMatch(withoutId(answer.text), kind === 'named' ? /rose|float|FP32/ : /iris|"x-model"/, where);
      }
    }
  });

  test('a model that the token may use and that does not exist has the same text', async () => {
    for (const path of ['/models/{name}', '/v1/models/{name}', '/v2/models/{name}', '/v2/models/{name}/versions/1']) {
      const route = { method: 'GET', path } as const;
      const [mine, missing] = [await ask(route, ROSE, 'iris'), await ask(route, ALL, 'none')];
      assert.deepEqual([mine.status, missing.status], [404, 404]);
      assert.equal(withoutId(mine.text), withoutId(missing.text).replaceAll('none', 'iris'));
    }
  });

  test('the right token, and a valid JWT: every route is served', async () => {
    for (const token of [ALL, await issuer.sign()]) {
      for (const route of app.routes) {
        const kind = kindOf(route);
        const where = `${route.method} ${route.path}, ${token}`;
        const { status, text } = await ask(route, token);
        if (kind === 'admin') assert.equal(status, 401, where);
        else if (kind === 'metrics') assert.equal(status, token === ALL ? 200 : 403, where);
        else if (/\{label\}/.test(route.path)) assert.equal(status, 404, where);
        else if (TEXTS.test(route.path))
          assert.match(`${status} ${text}`, /^(400|424|501) .* instead of texts|^501 .*embeddings/, where);
        else assert.ok(status === 200 || status === 501, `${where}: ${status} ${text}`);
        if (kind === 'list' && !route.path.endsWith('stats')) assert.match(text, /iris.*rose|rose.*iris/s, where);
      }
    }
  });

  test('the admin token: routes for administrators are served', async () => {
    const load: Pick<Route, 'method' | 'path'> = { method: 'POST', path: '/v2/repository/models/{name}/load' };
    for (const route of app.routes.filter((one) => kindOf(one) === 'admin')) {
      const { status, text } = await ask(route, ADMIN, 'rose');
      assert.equal(status, 200, `${route.method} ${route.path}: ${text}`);
      await ask(load, ADMIN, 'rose');
    }
  });

  test('a token of one model gets that model in every dialect', async () => {
    const lists = [];
    for (const path of ['/models', '/v1/models', '/v2/models'])
      lists.push((await ask({ method: 'GET', path }, ROSE)).text);
    for (const text of lists) assert.match(text, /rose/);
    for (const path of [
      '/models/{name}/predict',
      '/models/{name}/batch_predict',
      '/v1/models/{name}:predict',
      '/v2/models/{name}/infer',
    ]) {
      assert.equal((await ask({ method: 'POST', path }, ROSE, 'rose')).status, 200, path);
    }
  });

  test('the log has the name of a caller, and never a token', async () => {
    const from = telemetry.requests.length;
    const jwt = await issuer.sign({ claims: { aud: 'https://other.example' } });
    await ask({ method: 'GET', path: '/models/{name}' }, ROSE);
    await ask({ method: 'GET', path: '/models/{name}' }, await issuer.sign(), 'none');
    await ask({ method: 'GET', path: '/models/{name}' }, jwt);
    const lines = telemetry.requests.slice(from);
    assert.deepEqual(
      lines.map(({ caller, reason }) => [caller, reason]),
      [
        ['rose', undefined],
        ['ada@example.com', undefined],
        [undefined, 'unexpected "aud" claim value'],
      ],
    );
    const all = JSON.stringify([telemetry.requests, telemetry.lines]);
    for (const secret of [ALL, ROSE, NOTHING, ADMIN, OTHERS_TOKEN, jwt]) assert.ok(!all.includes(secret));
  });
});

const withoutId = (text: string): string => text.replace(/"request_id":"[^"]*"/, '');
