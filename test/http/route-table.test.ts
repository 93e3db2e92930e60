import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRouteTable } from '../../functions/http/route-table.ts';

const table = createRouteTable([
  { method: 'GET', path: '/models' },
  { method: 'GET', path: '/models/{name}' },
  { method: 'POST', path: '/models/{name}/predict' },
  { method: 'POST', path: '/models/{name}/versions/{version}/predict' },
] as const);
const find = (path: string, method = 'POST') => {
  const { route, params } = table.find(path, method);
  return [route.path, { ...params }];
};

test('a part in braces is one part of the path, decoded', () => {
  assert.deepEqual(find('/models/iris/predict'), ['/models/{name}/predict', { name: 'iris' }]);
  assert.deepEqual(find('/models/a%2Fb%20c.d/versions/12/predict'), [
    '/models/{name}/versions/{version}/predict',
    { name: 'a/b c.d', version: '12' },
  ]);
  assert.deepEqual(find('/models', 'GET'), ['/models', {}]);
});

test('HEAD is served if GET is, and the error of another method lists those of the path', () => {
  assert.deepEqual(find('/models/x', 'HEAD'), ['/models/{name}', { name: 'x' }]);
  assert.throws(() => table.find('/models/x', 'POST'), { code: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD' });
  assert.throws(() => table.find('/models/x/predict', 'GET'), { code: 'METHOD_NOT_ALLOWED', allow: 'POST' });
});

test('an exact path is preferred to a pattern, and the later of two routes to the earlier', () => {
  const routes = [
    { method: 'POST', path: '/models/{name}:predict', is: 'any' },
    { method: 'GET', path: '/models/{name}', is: 'status' },
    { method: 'GET', path: '/health', is: 'own' },
    { method: 'POST', path: '/models/a:predict', is: 'one' },
    { method: 'GET', path: '/models/b:predict', is: 'health of one' },
    { method: 'GET', path: '/health', is: 'later' },
  ] as const;
  const { find: findIn } = createRouteTable(routes);
  const found: [string, string, string, string?][] = [
    ['POST', '/models/a:predict', 'one'],
    ['GET', '/models/b:predict', 'health of one'],
    ['POST', '/models/b:predict', 'any', 'b'],
    ['POST', '/models/x:y:predict', 'any', 'x:y'],
    ['GET', '/models/x', 'status', 'x'],
    ['GET', '/health', 'later'],
  ];
  for (const [method, path, is, name] of found) {
    const { route, params } = findIn(path, method);
    assert.deepEqual([route.is, params.name], [is, name], `${method} ${path}`);
  }
  assert.throws(() => findIn('/models/a:predict', 'GET'), { code: 'METHOD_NOT_ALLOWED', allow: 'POST' });
  assert.throws(() => findIn('/health', 'POST'), { code: 'METHOD_NOT_ALLOWED', allow: 'GET, HEAD' });
});

test('what no route has is not found: a part more, a part less, an empty part', () => {
  for (const path of ['/models/a/b/predict', '/models//predict', '/models/a/versions/predict', '/model', '/models/']) {
    assert.throws(() => table.find(path, 'POST'), { code: 'NOT_FOUND' }, path);
  }
});

test('a part that is not valid percent-encoding is refused', () => {
  assert.throws(() => table.find('/models/%zz/predict', 'POST'), { code: 'INVALID_INPUT', message: /%zz in the path/ });
});

test('a parameter cannot be the name of something every object has', () => {
  assert.deepEqual(find('/models/__proto__/predict'), ['/models/{name}/predict', { name: '__proto__' }]);
});

test('metrics count a path by its pattern', () => {
  assert.equal(table.patternOf('/models/a/predict'), '/models/{name}/predict');
  assert.equal(table.patternOf('/models'), '/models');
  assert.equal(table.patternOf('/nowhere'), undefined);
});
