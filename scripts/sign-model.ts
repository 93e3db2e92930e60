/** `npm run sign-model -- --key private.pem [--name iris/3] models/iris/3`: signs a model's files, see docs/operate/model-signing.md. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readCommandLine, refuseUsage } from './command-line.ts';
import { signFolder } from './sign-model/sign.ts';

const USAGE = `npm run sign-model: signs the files of a model, or of a version of it, and writes model.sig into its folder.

Usage: npm run sign-model -- --key FILE [--name NAME[/VERSION]] FOLDER

  --key FILE   private key in PEM: ed25519, ECDSA or RSA; KEY_PASSPHRASE is its passphrase
  --name NAME  the model for which the signature is valid; default: from the path of FOLDER

Example:
  npm run sign-model -- --key private.pem --name iris/3 models/iris/3`;

const { values, positionals } = readCommandLine(USAGE, { key: { type: 'string' }, name: { type: 'string' } }, [1, 1]);
const folder = positionals[0]!;
if (values.key === undefined) refuseUsage('--key is missing');

try {
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
