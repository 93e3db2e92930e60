import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOpened, OPEN_ROUTES } from '../../functions/access/open-routes.ts';

const opened = (name: (typeof OPEN_ROUTES)[number], path: string, method = 'GET'): boolean =>
  isOpened([name], { method, path });

test('a page is opened with its files, and nothing else is', () => {
  for (const path of ['/', '/page/page.js']) assert.ok(opened('/', path), path);
  for (const path of ['/docs', '/docs/docs.css']) assert.ok(opened('/docs', path), path);
  for (const path of ['/predict', '/models', '/docs', '/page', '/metrics']) assert.ok(!opened('/', path), path);
  assert.ok(!opened('/docs', '/docsx'));
  assert.ok(!isOpened([], { method: 'GET', path: '/' }));
});

test('the readiness of models is opened with that of their versions', () => {
  for (const path of ['/v2/models/{name}/ready', '/v2/models/{name}/versions/{version}/ready']) {
    assert.ok(opened('/v2/models/{name}/ready', path), path);
  }
  assert.ok(!opened('/v2/models/{name}/ready', '/v2/models/{name}'));
});

test('a path on which Vertex AI sends predictions is not opened with the page that it replaces', () => {
  for (const name of OPEN_ROUTES) assert.ok(!opened(name, name, 'POST'), name);
});
