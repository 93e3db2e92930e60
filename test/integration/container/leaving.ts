import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { metric, predict } from '../../helpers/calls.ts';
import { useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { slow } from '../../helpers/models.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Clients of `/batch_predict` that are gone, or as good as gone, before the last batch is answered. */
export function leaving(): void {
  describe('clients that leave a batch', { concurrency: 1 }, () => {
    const slowHost = useHost('container', () => ({
      MODEL_URI: modelFolder('slow-batch', slow(), { example: { features: [1] }, batching: true }),
    }));
    const irisHost = useHost('container', () => ({ REQUEST_TIMEOUT_MS: '3000', INFERENCE_PROCESSES: '1' }));

    test('a client that leaves while its last batch is run is let go and counted', async () => {
      const host = slowHost();
      const gone = () => metric(host, 'requests_rejected_total', { reason: 'client_gone' });
      const busy = () => metric(host, 'engine_processes', { state: 'busy' });
      const connection = connect(host);
      // Seconds: that the client has left shows only in the second interim response, after 150 ms.
      connection.send(postText('/batch_predict', '{"instances":[[3000]]}', JSON_TYPE));
      await until(async () => (await busy()) === 1, 'the row is being run');
      connection.destroy();
      await until(async () => (await gone()) === 1, 'the client is counted as gone');
      assert.equal((await predict(host, [1])).status, 200);
    });

    test('a client that has sent all and reads nothing is let go after an idle time', async () => {
      const host = irisHost();
      const connection = connect(host);
      connection.socket.pause();
      const body = `{"instances":[${'[5,3,1,0],'.repeat(49_000)}[5,3,1,0]]}`;
      connection.send(postText('/batch_predict', body, JSON_TYPE));
      const answered = () =>
        metric(host, 'http_requests_total', { route: '/batch_predict', method: 'POST', status: '200' });
      await until(async () => (await answered()) === 1, 'the request has ended');
      connection.destroy();
      assert.equal((await predict(host, [5.1, 3.5, 1.4, 0.2])).status, 200);
    });
  });
}
