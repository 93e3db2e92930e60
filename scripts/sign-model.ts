/** `npm run sign-model -- --key private.pem [--name iris/3] models/iris/3`: signs a model's files, see docs/operate/model-signing.md. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { signFolder } from './sign-model/sign.ts';

const USAGE =
  'usage: npm run sign-model -- --key <private.pem> [--name <model>[/<version>]] <folder of the model or version>';

try {
  const { values, positionals } = parseArgs({
    options: { key: { type: 'string' }, name: { type: 'string' } },
    allowPositionals: true,
  });
  const [folder, ...more] = positionals;
  if (values.key === undefined || folder === undefined || more.length > 0) throw new Error(USAGE);
  const key = createPrivateKey({
    key: readFileSync(values.key),
    ...(process.env.KEY_PASSPHRASE !== undefined && { passphrase: process.env.KEY_PASSPHRASE }),
  });
  const paths = await signFolder(folder, key, values.name);
  process.stdout.write(`signed ${paths.length} files in ${folder}: ${paths.join(', ')}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
