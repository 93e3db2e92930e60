/**
 * `node scripts/smoke-test.ts URL`, in the image `dist/smoke-test.js`: what `onnx-cloud-run golden --check` does, for the image, which
 * has no command line: waits until a server is ready, sends the rows of golden.json and compares the responses. Of a folder of models
 * it takes the golden.json of the model that the server serves; if there is none, it sends the server's own example. Prints a line
 * for each check; exit code 0 if all passed, else 1.
 */
import { checkService } from '../functions/cli/golden/check-service.ts';
import { fetchIdentityToken } from '../functions/cli/golden/identity-token.ts';
import { ServingError } from '../functions/errors.ts';
import { readCommandLine, refuseUsage } from './command-line.ts';

const USAGE = `npm run smoke-test: waits until a server is ready, sends the rows of golden.json and compares the responses.

Usage: npm run smoke-test -- [OPTIONS] URL

  --golden PATH    the rows; default: models/iris/golden.json. Of a folder of models: those of the model that the server serves, or
                   without any the example of the server
  --audience URL   requests an identity token for URL from Google's metadata server; else IDENTITY_TOKEN is the token, if set
  --wait SECONDS   the longest wait until the server is ready; default: 120

Examples:
  npm run smoke-test -- http://localhost:8080
  IDENTITY_TOKEN=$(gcloud auth print-identity-token) npm run smoke-test -- https://ml-model-abc-uc.a.run.app
  docker run --rm --network host ml-model dist/smoke-test.js http://localhost:8080 --golden /models

Exit code: 1 if a check failed.`;

function print(name: string, passed: boolean, said: string): void {
  console.log(`${passed ? 'ok    ' : 'FAILED'}  ${name}${said ? `: ${said}` : ''}`);
}

function readArguments() {
  const options = {
    golden: { type: 'string', default: 'models/iris/golden.json' },
    audience: { type: 'string' },
    wait: { type: 'string', default: '120' },
  } as const;
  const { values, positionals } = readCommandLine(USAGE, options, [1, 1]);
  const url = positionals[0]!.replace(/\/+$/, '');
  if (!/^https?:\/\//.test(url)) refuseUsage(`expected a URL with http:// or https://, got ${url}`);
  if (!(Number(values.wait) > 0)) refuseUsage(`--wait takes seconds, got ${values.wait}`);
  return { ...values, url, waitSeconds: Number(values.wait) };
}

async function main(): Promise<boolean> {
  const { audience, ...options } = readArguments();
  /** What is being done, for the line of a failure. */
  let name = '';
  async function token(): Promise<string | undefined> {
    const given = process.env.IDENTITY_TOKEN?.trim() || undefined;
    if (audience === undefined) return given;
    name = 'identity token';
    const found = given ?? (await fetchIdentityToken(audience));
    print(name, true, '');
    return found;
  }
  try {
    return await checkService(
      { ...options, token, signal: new AbortController().signal },
      {
        waiting() {
          name = 'ready';
        },
        ready: ({ text }) => print('ready', true, text),
        checked: ({ row, passed, said }) =>
          print(row === undefined ? 'example, as the model has no golden.json' : `row ${row}`, passed, said),
      },
    );
  } catch (error) {
    if (name === '' || !(error instanceof ServingError)) throw error;
    print(name, false, error.message);
    return false;
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
