import { type Check, Unproven } from '../check.ts';
import { expect, expectEqual, expectJson } from '../expect.ts';
import { show } from '../infer-call.ts';

const NOT_SEEN = 'it was ready at the first look: start it on a model that takes longer to load';

/** Checks of a server before and after its model is loaded. */
export const SERVER_CHECKS: readonly Check[] = [
  {
    number: 1,
    title: 'GET /v2 and /v2/ tell name, version and extensions',
    async run({ send }, part) {
      for (const path of ['/v2', '/v2/'])
        await part(path, async () => {
          const { name, version, extensions } = expectJson(await send({ method: 'GET', path }));
          expect(typeof name === 'string', `name: expected a string, got ${JSON.stringify(name)}`);
          expect(typeof version === 'string', `version: expected a string, got ${JSON.stringify(version)}`);
          const strings = Array.isArray(extensions) && extensions.every((one) => typeof one === 'string');
          expect(strings, `extensions: expected an array of strings, got ${JSON.stringify(extensions)}`);
        });
    },
  },
  {
    number: 2,
    title: 'it is live before its model is loaded',
    needs: ['fresh'],
    async run({ startup }, part) {
      const [first] = startup!.before.live;
      if (first === undefined) throw new Unproven(NOT_SEEN);
      await part('while it was not ready', async () => {
        for (const answer of startup!.before.live) expect(answer.status === 200, `expected 200, got ${show(answer)}`);
        expectEqual(expectJson(first).live, true, 'live');
      });
    },
  },
  {
    number: 3,
    title: 'it is not ready before, 503, and ready after, 200',
    needs: ['fresh'],
    async run({ startup, send }, part) {
      if (startup!.before.ready.length === 0) throw new Unproven(NOT_SEEN);
      await part('before', async () => {
        for (const answer of startup!.before.ready) expect(answer.status === 503, `expected 503, got ${show(answer)}`);
      });
      await part('after', async () => {
        expectJson(startup!.ready);
        expectJson(await send({ method: 'GET', path: '/v2/health/ready' }));
      });
    },
  },
];
