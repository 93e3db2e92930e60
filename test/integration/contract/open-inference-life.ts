import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { call, metric, post } from '../../helpers/calls.ts';
import { engineProcesses, type Host, type HostKind, startHost, useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { addConstant, slow, writeModel } from '../../helpers/models.ts';
import { infer, inferBody, type Sent } from '../../helpers/open-inference.ts';
import { connect, holdRequest, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';
import { assertRefused } from './open-inference.ts';

const TOKEN = 'a-token-of-some-length';
const ADMIN = { authorization: `Bearer ${TOKEN}` };
const PAIR: Sent = { name: 'x', datatype: 'FP32', shape: [1, 2], data: '[1,2]' };

/** Before the first load, loading and unloading, and the end. */
export function openInferenceLife(kind: HostKind): void {
  test('before the first load it is alive and not ready; a probe starts the load', async () => {
    const host = await startHost(kind, { MODEL_LOAD: 'lazy', INFERENCE_PROCESSES: '1' });
    try {
      assert.equal((await call(host, '/v2/health/live')).status, 200);
      for (const path of ['/v2/models/iris/ready', '/v2/models/iris/versions/1/ready', '/v2/health/ready']) {
        const answer = await call(host, path);
        if (answer.status !== 200) assertRefused(answer, 503, 'NOT_READY', /^the model is not ready: loading/);
        else assert.notEqual(path, '/v2/models/iris/ready', 'the first answer is before any load');
      }
      await until(async () => (await call(host, '/v2/health/ready')).status === 200, 'the model to be ready');
      assert.deepEqual((await call(host, '/v2/models/iris/versions/1/ready')).json(), { name: 'iris', ready: true });
    } finally {
      await host.stop('SIGKILL');
    }
  });

  test('a first request that names the version of a model without version folders waits for its load', async () => {
    const host = await startHost(kind, { MODEL_LOAD: 'lazy', INFERENCE_PROCESSES: '1' });
    try {
      const row: Sent = { name: 'features', datatype: 'FP32', shape: [1, 4], data: '[1,2,3,4]' };
      const [right, wrong] = await Promise.all(
        ['1', '7'].map((version) => infer(host, `iris/versions/${version}`, [row])),
      );
      assert.equal(right!.status, 200, right!.text);
      assertRefused(wrong!, 404, 'NOT_FOUND', /Request for unknown model: 'iris' version 7 is not found/);
    } finally {
      await host.stop('SIGKILL');
    }
  });

  describe('the repository, by the Open Inference Protocol', { concurrency: 1 }, () => {
    const root = mkdtempSync(join(tmpdir(), 'open-inference-'));
    after(() => rmSync(root, { recursive: true }));
    const models = join(root, 'models');
    for (const [name, constant] of [
      ['main', 0],
      ['team/other/1', 1],
      ['team/other/2', 2],
    ] as const) {
      writeModel(models, name, addConstant(constant));
    }
    // Beside the models: the image is given their folder, and no other.
    const token = join(models, 'token');
    writeFileSync(token, `${TOKEN}\n`);
    const env = {
      MODEL_URI: models,
      MODEL_NAME: 'main',
      ADMIN_TOKEN_FILE: kind === 'image' ? '/srv/models/token' : token,
      INFERENCE_PROCESSES: '1',
    };
    const host = useHost(kind, () => env);
    const control = (model: string, action: string, headers: Record<string, string> = ADMIN, body = '') =>
      post(host(), `/v2/repository/models/${encodeURIComponent(model)}/${action}`, body, headers);
    const index = async (body = '') => (await post(host(), '/v2/repository/index', body)).json();
    const other = 'team%2Fother';

    test('names its extension, as a token is configured', async () => {
      assert.ok((await call(host(), '/v2')).json().extensions.includes('model_repository'));
    });

    test('has an index of all models and versions, or of those that are ready', async () => {
      assert.deepEqual(await index(), [
        { name: 'main', version: '1', state: 'READY', reason: '' },
        { name: 'team/other', version: '2', state: 'UNAVAILABLE', reason: 'not loaded' },
        { name: 'team/other', version: '1', state: 'UNAVAILABLE', reason: 'not loaded' },
      ]);
      assert.deepEqual(
        (await index('{"ready":true}')).map(({ name }: { name: string }) => name),
        ['main'],
      );
      assertRefused(
        await post(host(), '/v2/repository/index', '{"ready":1}'),
        400,
        'INVALID_INPUT',
        /^ready: expected true or false, got 1/,
      );
      assertRefused(
        await post(host(), '/v2/repository/index', '[]'),
        400,
        'INVALID_INPUT',
        /^the body: expected an object/,
      );
    });

    test('loads, unloads for everybody until it is loaded again, and takes in what is new', async () => {
      assert.equal((await control('team/other', 'load')).status, 200);
      assert.deepEqual((await infer(host(), other, [PAIR])).json.outputs[0].data, [3, 4]);
      assert.deepEqual((await infer(host(), `${other}/versions/1`, [PAIR])).json.outputs[0].data, [2, 3]);
      assert.deepEqual((await call(host(), `/v2/models/${other}`)).json().versions, ['2', '1']);
      const engines = engineProcesses(host()).length;
      assert.equal((await control('team/other', 'unload')).status, 200);
      await until(() => engineProcesses(host()).length < engines, 'its engines to end');
      assert.deepEqual(
        (await index()).map(({ state, reason }: { state: string; reason: string }) => [state, reason]),
        [
          ['READY', ''],
          ['UNAVAILABLE', 'unloaded'],
          ['UNAVAILABLE', 'unloaded'],
        ],
      );
      const gone = /the model team\/other is unloaded: POST \/v2\/repository\/models\/team%2Fother\/load/;
      for (const path of [other, `${other}/versions/1`]) {
        assertRefused(await infer(host(), path, [PAIR]), 503, 'NOT_READY', gone);
        assertRefused(await call(host(), `/v2/models/${path}/ready`), 503, 'NOT_READY', gone);
      }
      assertRefused(await post(host(), `/models/${other}/predict`, { features: [1, 2] }), 503, 'NOT_READY', gone);
      writeModel(models, 'team/other/3', addConstant(30));
      assert.equal((await control('team/other', 'load')).status, 200);
      assert.deepEqual((await infer(host(), other, [PAIR])).json.outputs[0].data, [31, 32]);
      writeModel(models, 'team/other/4', addConstant(40));
      assert.equal((await control('team/other', 'load', ADMIN, '{"parameters":{}}')).status, 200, 'a reload');
      assert.deepEqual((await infer(host(), other, [PAIR])).json.outputs[0].data, [41, 42]);
    });

    test('a load that fails says why, and what serves goes on', async () => {
      writeModel(models, 'team/other/5', new TextEncoder().encode('no model'));
      assertRefused(
        await control('team/other', 'load'),
        503,
        'NOT_READY',
        /the new version of team\/other failed to load/,
      );
      assert.deepEqual((await infer(host(), other, [PAIR])).json.outputs[0].data, [41, 42]);
      rmSync(join(models, 'team/other/5'), { recursive: true });
    });

    test('the model behind /predict stays, and what is not there is 404', async () => {
      assertRefused(
        await control('main', 'unload'),
        403,
        'FORBIDDEN',
        /main cannot be unloaded: it is the model behind \/predict/,
      );
      assert.equal((await control('main', 'load')).status, 200);
      const words = /^failed to load 'tulip', failed to poll from model repository: there is no model tulip$/;
      assertRefused(await control('tulip', 'load'), 404, 'NOT_FOUND', words);
      const unknown = /^Request for unknown model: 'tulip' is not found$/;
      assertRefused(await control('tulip', 'unload'), 404, 'NOT_FOUND', unknown);
      const config = '{"parameters":{"config":"{}"}}';
      const refused = /^failed to load 'main', parameters\.config: /;
      assertRefused(await control('main', 'load', ADMIN, config), 501, 'UNSUPPORTED', refused);
    });

    test('without the token nobody loads or unloads', async () => {
      for (const authorization of [
        undefined,
        'Bearer',
        'Bearer wrong',
        `Basic ${TOKEN}`,
        `Bearer ${TOKEN} x`,
        'Bearer a b',
      ]) {
        const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
        for (const action of ['load', 'unload']) {
          const answer = await control('team/other', action, headers);
          assertRefused(answer, 401, 'UNAUTHORIZED', /token/);
          assert.match(answer.headers.get('www-authenticate')!, /^Bearer realm="onnx-cloud-run"/);
          assert.ok(!answer.text.includes(TOKEN));
        }
      }
      writeFileSync(token, 'another');
      assertRefused(await control('main', 'load'), 401, 'UNAUTHORIZED', /is not the one in ADMIN_TOKEN_FILE/);
      assert.equal((await control('main', 'load', { authorization: 'bearer another' })).status, 200);
      writeFileSync(token, '');
      assertRefused(await control('main', 'load', { authorization: 'Bearer another' }), 403, 'FORBIDDEN', /is empty/);
      writeFileSync(token, TOKEN);
    });
  });

  test('SIGTERM: what was accepted is answered and what comes is refused, but for the framework, which leaves', async () => {
    const env = { MODEL_URI: modelFolder('slow-end', slow()), INFERENCE_PROCESSES: '1', SHUTDOWN_GRACE_MS: '60000' };
    const host = await startHost(kind, env);
    try {
      await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready');
      const running = connect(host);
      const body = inferBody([{ name: 'x', datatype: 'FP32', shape: [1, 1], data: '[1500]' }]).text;
      running.send(postText('/v2/models/slow-end/infer', body));
      await until(async () => (await metric(host, 'engine_processes', { state: 'busy' })) === 1, 'the run');
      if (kind === 'functions') {
        await host.stop();
        assert.ok(
          ['', '500'].includes((await running.closed).split(' ')[1] ?? ''),
          'it is cut off, or answered with 500',
        );
        return;
      }
      const release = await holdRequest(host, '/v2/models/slow-end/infer', body.replace('1500', '1'));
      // The server closes a connection that sends nothing for 10 s.
      const next = connect(host);
      const stopped = host.stop();
      await until(async () => (await call(host, '/health')).json().status === 'draining', 'the server to drain');
      next.send(postText('/v2/models/slow-end/infer', body));
      const refused = await next.answer();
      assert.deepEqual([refused.status, JSON.parse(refused.body).code], [503, 'DRAINING']);
      assert.equal(refused.headers.connection, 'close');
      const { status, body: answered } = await running.answer();
      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(answered).outputs[0].data, [1500]);
      assert.equal((await release()).status, 200);
      assert.deepEqual((await stopped).code, 0);
    } finally {
      await host.stop('SIGKILL');
    }
  });
}

/** The repository of a host that has no ADMIN_TOKEN_FILE. */
export function repositoryWithoutToken(host: () => Host): void {
  describe('the repository without a token', { concurrency: 1 }, () => {
    test('has its index, and refuses loads and unloads', async () => {
      assert.deepEqual((await post(host(), '/v2/repository/index', '{}')).json(), [
        { name: 'iris', version: '1', state: 'READY', reason: '' },
      ]);
      for (const action of ['load', 'unload']) {
        const answer = await post(host(), `/v2/repository/models/iris/${action}`, '', ADMIN);
        assertRefused(answer, 403, 'FORBIDDEN', /ADMIN_TOKEN_FILE is not set/);
      }
    });
  });
}
