import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../system/program.ts';

const SCRIPT = join(import.meta.dirname, '../../scripts/audit.ts');
const ENDPOINT = '/-/npm/v1/security/advisories/bulk';

/** Runs the audit with a registry that has these advisories, as severities by package; without any it has no endpoint for them. */
async function audit(t: TestContext, severities: Record<string, string> | undefined, args: readonly string[] = []) {
  const advisories = Object.entries(severities ?? {}).map(([name, severity], i) => {
    const details = { id: i + 1, url: 'https://example.org/1', title: 'breaks', cwe: [], cvss: { score: 0 } };
    return [name, [{ ...details, severity, vulnerable_versions: '*' }]];
  });
  const registry = createServer((req, res) => {
    req.resume();
    if (req.url !== ENDPOINT || severities === undefined) res.writeHead(req.method === 'POST' ? 405 : 404).end();
    else res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(Object.fromEntries(advisories)));
  });
  await once(registry.listen(0, '127.0.0.1'), 'listening');
  const cache = mkdtempSync(join(tmpdir(), 'audit-'));
  t.after(() => {
    registry.close();
    rmSync(cache, { recursive: true });
  });
  const { port } = registry.address() as AddressInfo;
  return run(process.execPath, [SCRIPT, ...args], {
    npm_config_registry: `http://127.0.0.1:${port}`,
    npm_config_cache: cache,
  });
}

test('an advisory of severity high fails the audit for a package of production, and for one that the pages bundle', async (t) => {
  const { code, stdout } = await audit(t, { winston: 'high', 'swagger-ui-dist': 'critical' });
  assert.equal(code, 1, stdout);
  assert.match(stdout, /^FAILED {2}winston \* \(shipped\), high: breaks https:\/\/example\.org\/1$/m);
  assert.match(stdout, /^FAILED {2}swagger-ui-dist \* \(shipped\), critical: /m);
});

test('an advisory of a lower severity, or of a package that only development needs, is printed and fails nothing', async (t) => {
  const { code, stdout } = await audit(t, { winston: 'moderate', esbuild: 'critical' });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^note {4}winston \* \(shipped\), moderate: /m);
  assert.match(stdout, /^note {4}esbuild \* \(development\), critical: /m);
  assert.match(stdout, /^\d+ packages checked: ok$/m);
});

test('--level none prints advisories and fails nothing, so that an urgent release is possible', async (t) => {
  const { code, stdout } = await audit(t, { winston: 'critical' }, ['--level', 'none']);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^note {4}winston /m);
});

test('a registry without the endpoint is reported and fails nothing, unless an answer is required', async (t) => {
  const optional = await audit(t, undefined);
  assert.equal(optional.code, 0, optional.stderr);
  assert.match(optional.stdout, /^NOT CHECKED: the registry did not answer npm audit: 405 /);
  const required = await audit(t, undefined, ['--require']);
  assert.equal(required.code, 1);
  assert.match(required.stdout, /^NOT CHECKED: /);
});

test('a level that npm does not have is refused, with those that it has', async (t) => {
  const { code, stderr } = await audit(t, {}, ['--level', 'hihg']);
  assert.equal(code, 2);
  assert.match(stderr, /--level is hihg: expected one of info, low, moderate, high, critical, none/);
});
