import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Host, type HostKind, startHost } from '../../helpers/hosts.ts';
import { AUDIENCE, type Issuer, sha256, startIssuer } from '../../helpers/issuer.ts';
import { until } from '../../helpers/until.ts';

const ROW = { features: [5.1, 3.5, 1.4, 0.2] };

/** Tokens and JWTs, on the server as it is built. */
export function access(kind: HostKind): void {
  describe('access', { concurrency: 1 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'access-'));
    const file = join(folder, 'tokens.json');
    let issuer: Issuer;
    let down: Issuer;
    let host: Host;

    /** As an editor, or Kubernetes, replaces it. */
    function replace(...tokens: object[]): void {
      writeFileSync(`${file}.new`, JSON.stringify({ tokens }));
      renameSync(`${file}.new`, file);
    }

    const web = { name: 'web', sha256: sha256('web') };

    before(async () => {
      replace(web);
      [issuer, down] = [await startIssuer(), await startIssuer()];
      down.fault = 'status';
      const issuers = `${issuer.url},${down.url}`;
      host = await startHost(kind, { AUTH_TOKEN_FILE: file, AUTH_ISSUER: issuers, AUTH_AUDIENCE: AUDIENCE });
      await until(async () => (await fetch(`${host.url}/ready`)).ok || undefined, 'the model to be ready');
    });
    after(async () => {
      await Promise.all([host?.stop(), issuer.close(), down.close()]);
      rmSync(folder, { recursive: true });
    });

    async function predict(token?: string): Promise<Response> {
      const headers: Record<string, string> = { 'Content-Type': 'application/json' };
      if (token !== undefined) headers.Authorization = `Bearer ${token}`;
      const response = await fetch(`${host.url}/predict`, { method: 'POST', headers, body: JSON.stringify(ROW) });
      await response.clone().text();
      return response;
    }

    test('a request without a token is refused, with the right one it is served', async () => {
      const refused = await predict();
      assert.equal(refused.status, 401);
      assert.equal(refused.headers.get('www-authenticate'), 'Bearer realm="onnx-cloud-run"');
      assert.equal(((await refused.json()) as { code: string }).code, 'UNAUTHORIZED');
      for (const token of ['web', await issuer.sign()]) assert.equal((await predict(token)).status, 200);
      for (const token of ['we', await issuer.sign({ algorithm: 'none' })])
        assert.equal((await predict(token)).status, 401);
      assert.deepEqual(Object.keys((await (await fetch(`${host.url}/health`)).json()) as object), ['status', 'uptime']);
    });

    test('a file that is replaced while requests are served takes effect, and a broken one does not', async () => {
      replace(web, { name: 'app', sha256: sha256('app') });
      await until(async () => (await predict('app')).status === 200, 'the new token to be accepted');
      replace({ name: 'app', sha256: sha256('app') });
      await until(async () => (await predict('web')).status === 401, 'the old token to be refused');
      writeFileSync(file, '{');
      const logged = () => host.lines.some((line) => line.includes('AUTH_TOKEN_FILE cannot be used'));
      await until(async () => (await predict('app')).status === 200 && logged(), 'the broken file to be logged');
      assert.deepEqual([(await predict('app')).status, (await predict('web')).status], [200, 401]);
      replace(web);
      await until(async () => (await predict('web')).status === 200, 'the mended file to be read');
    });

    test('a JWT whose issuer is down gets 503; those of other issuers, and tokens, are served', async () => {
      const refused = await predict(await down.sign());
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5']);
      assert.equal(((await refused.json()) as { code: string }).code, 'NOT_READY');
      for (const token of ['web', await issuer.sign()]) assert.equal((await predict(token)).status, 200);
    });
  });
}
