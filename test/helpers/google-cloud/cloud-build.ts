import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Ran, run } from '../../system/program.ts';

export const ROOT = join(import.meta.dirname, '../../..');

export interface Step {
  id: string;
  name: string;
  entrypoint?: string;
  args: string[];
  env?: string[];
}
export interface BuildFile {
  substitutions: Record<string, string>;
  steps: Step[];
  images: string[];
  options: { logging: string; requestedVerifyOption: string };
  timeout: string;
}

/** Reads the cloudbuild.yaml of a folder. */
export const readBuild = (folder: string): BuildFile => parse(readFileSync(join(folder, 'cloudbuild.yaml'), 'utf8'));

export const BUILD = readBuild(ROOT);

/** A step calls gcloud up to twenty times, each of which takes a second or more. */
const BOUND_MS = 180_000;

/** What Cloud Build itself fills in. */
export const BUILT_IN = { PROJECT_ID: 'my-project', COMMIT_SHA: '0123456789abcdef', BUILD_ID: 'aaaaaaaa-1111' };

/** As Cloud Build does: `$NAME` and `${NAME}` are replaced, `$$` is a dollar. @throws Error for a name it does not know */
export function substitute(text: string, values: Record<string, string>): string {
  return text.replace(/\$(?:\$|([A-Z_][A-Z0-9_]*)|\{([A-Z_][A-Z0-9_]*)\})/g, (found, plain, braced) => {
    if (found === '$$') return '$';
    const value = values[plain ?? braced];
    if (value === undefined) throw new Error(`${found} is no substitution of cloudbuild.yaml`);
    return value;
  });
}

/**
 * Runs a step's command here, in the folder of its cloudbuild.yaml.
 * @param env what the machine of the build has beside the step's own variables
 */
export function runStep(
  id: string,
  values: Record<string, string>,
  env: Record<string, string>,
  folder = ROOT,
): Promise<Ran> {
  const { steps, substitutions } = readBuild(folder);
  const step = steps.find((each) => each.id === id);
  if (step === undefined) throw new Error(`cloudbuild.yaml has no step ${id}`);
  const given = { ...substitutions, ...BUILT_IN, ...values };
  // With dynamicSubstitutions a value may contain others.
  const all = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, substitute(value, given)]));
  const words = [step.entrypoint ?? '', ...step.args].map((word) => substitute(word, all));
  const own = (step.env ?? []).map((line) => substitute(line, all).split(/=(.*)/s).slice(0, 2) as [string, string]);
  const args = ['-c', 'cd "$1" && shift && exec "$@"', 'step', folder, ...words];
  return run('bash', args, { ...env, ...Object.fromEntries(own) }, BOUND_MS);
}
