import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineEnvironment } from '../../../functions/engine/process/environment.ts';

test('an engine gets the variables of Node, onnxruntime and CUDA, and no setting, token or address', () => {
  const needed = {
    PATH: '/bin',
    Path: 'C:\\Windows',
    HOME: '/root',
    TMPDIR: '/tmp',
    TZ: 'UTC',
    LC_ALL: 'C.UTF-8',
    LOCPATH: '/srv/locale',
    LD_LIBRARY_PATH: '/usr/local/cuda/lib64',
    NODE_COMPILE_CACHE: '/tmp/cache',
    ORT_DISABLE_TELEMETRY: '1',
    OMP_NUM_THREADS: '1',
    CUDA_VISIBLE_DEVICES: '0',
    NVIDIA_VISIBLE_DEVICES: 'all',
  };
  const secret = {
    REDIS_URL: 'redis://:secret@host',
    ADMIN_TOKEN_FILE: '/run/secrets/token',
    GOOGLE_APPLICATION_CREDENTIALS: '/run/key.json',
    GOOGLE_CLOUD_PROJECT: 'p',
    AWS_SECRET_ACCESS_KEY: 'x',
    HTTPS_PROXY: 'http://user:password@proxy',
    KUBERNETES_SERVICE_HOST: '10.0.0.1',
    MODEL_URI: 'gs://bucket/m',
    NPM_TOKEN: 'x',
    NODE_AUTH_TOKEN: 'x',
    NVIDIA_API_KEY: 'x',
    Node_Auth_Token: 'x',
    CUDA_REGISTRY_PASSWORD: 'x',
    PATHS: 'x',
  };
  assert.deepEqual(engineEnvironment({ ...needed, ...secret }), needed);
});
