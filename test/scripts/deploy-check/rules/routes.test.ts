import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRoutes } from '../../../../scripts/deploy-check/rules/routes.ts';
import { check, deployment } from '../fixture.ts';

const route = (type: string, value: string): string =>
  rule(`matches: [{ path: { type: ${type}, value: ${value} } }], backendRefs: [{ name: s }]`);
const rule = (text: string): string =>
  `---\n{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: { name: r }, spec: { rules: [{ ${text} }] } }`;
const SERVER = deployment();
const WITH_ADMIN_PORT = deployment("env: [{ name: ADMIN_PORT, value: '8081' }]");

const GOOD: [title: string, yaml: string][] = [
  ['a route', SERVER + route('Exact', '/predict')],
  ['routes below a prefix', SERVER + route('PathPrefix', '/models/')],
  ['a page', SERVER + route('Exact', '/')],
  ['a prefix with routes for operators, which are on their own port', WITH_ADMIN_PORT + route('PathPrefix', '/v2')],
  ['everything, without those', WITH_ADMIN_PORT + rule('backendRefs: [{ name: s }]')],
  ['a redirect', SERVER + rule('filters: [{ type: RequestRedirect }]')],
];

for (const [title, yaml] of GOOD)
  test(`a load balancer may forward ${title}`, () => assert.deepEqual(check(checkRoutes, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  [
    'a path that is no route',
    SERVER + route('Exact', '/predictions'),
    /rules\[0\]\.matches\[0\]\.path\.value: \/predictions is no route of the server/,
  ],
  ['a prefix of no route', SERVER + route('PathPrefix', '/model'), /\/model is no route/],
  ['metrics', SERVER + route('Exact', '/metrics'), /forwards GET \/metrics, which is for operators: set ADMIN_PORT/],
  [
    'a prefix with routes for operators',
    SERVER + route('PathPrefix', '/v2'),
    /forwards POST \/v2\/repository\/models\/\{name\}\/load/,
  ],
  ['everything', SERVER + rule('backendRefs: [{ name: s }]'), /forwards GET \/metrics/],
  [
    'metrics, with an empty ADMIN_PORT',
    deployment("env: [{ name: ADMIN_PORT, value: '' }]") + route('Exact', '/metrics'),
    /forwards GET \/metrics/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`a load balancer is refused for ${title}`, () => {
    const found = check(checkRoutes, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}
