import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { DirectMessage } from '../../../functions/http/body/direct-message.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import { serve } from '../../helpers/serve.ts';

/** Takes the body of each request directly, after `before`. Gives what came, piece by piece, and whether it could. */
async function serveDirect(t: TestContext, before: (req: DirectMessage) => Promise<void> | undefined) {
  const taken: { direct: boolean; pieces: (string | null)[]; dumped: boolean | undefined }[] = [];
  const server = await serve(
    t,
    (req, res) => {
      const pieces: (string | null)[] = [];
      const take = (): void => {
        const direct = (req as DirectMessage).takeDirectly((piece) => {
          pieces.push(piece === null ? null : String(piece));
          if (piece === null) res.end('ok');
        });
        if (!direct) res.end('not direct');
        // Node's name for a request whose body it has thrown away: private, and looked at here in case it changes.
        res.once('close', () => taken.push({ direct, pieces, dumped: (req as { _dumped?: boolean })._dumped }));
      };
      const waited = before(req as DirectMessage);
      if (waited === undefined) take();
      else void waited.then(take);
    },
    DirectMessage,
  );
  return { ...server, taken };
}

test('a body is passed to its sink, and Node does not read it again', async (t) => {
  const { port, taken } = await serveDirect(t, () => undefined);
  const client = connect({ port });
  for (const body of ['one', 'two']) {
    client.send(postText('/', body));
    assert.equal((await client.answer()).body, 'ok');
  }
  client.destroy();
  assert.deepEqual(taken, [
    { direct: true, pieces: ['one', null], dumped: false },
    { direct: true, pieces: ['two', null], dumped: false },
  ]);
});

test('a body that has begun to arrive is not taken directly: its first piece is with the stream', async (t) => {
  const { port } = await serveDirect(t, (req) => once(req, 'readable').then(() => {}));
  const client = connect({ port });
  client.send(postText('/', 'here already'));
  assert.equal((await client.answer()).body, 'not direct');
  client.destroy();
});
