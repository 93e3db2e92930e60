import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { IRIS } from './hosts.ts';

const CODE = `
  import { InferenceSession } from 'onnxruntime-node';
  await InferenceSession.create(process.argv[1]);
  setInterval(() => {}, 1000);
`;
const BOUND_MS = 90_000;

/**
 * Waits until onnxruntime, in a process that is started now and does not switch its telemetry off, has tried twice to send it: an onnxruntime
 * that was loaded earlier, and sends any, has tried as well. It sends to a proxy of this test, which refuses it.
 * @throws Error if it does not try: then this version has no telemetry, or another switch.
 */
export async function untilTelemetryIsSent(): Promise<void> {
  let attempts = 0;
  const proxy = createServer((socket) => {
    attempts += 1;
    socket.destroy();
    if (attempts === 2) proxy.emit('sent');
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  // Without the variables of CI, which switch it off, and without a home, where it would leave an identifier.
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', https_proxy: address, HTTPS_PROXY: address };
  const args = ['--input-type=module', '-e', CODE, `${IRIS}/model.onnx`];
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname, env, stdio: 'ignore' });
  try {
    await once(proxy, 'sent', { signal: AbortSignal.timeout(BOUND_MS) });
  } catch (error) {
    throw new Error(`onnxruntime tried ${attempts} times to send telemetry in ${BOUND_MS} ms, expected 2`, {
      cause: error,
    });
  } finally {
    child.kill('SIGKILL');
    proxy.close();
  }
}
