import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { ServingError } from '../../errors.ts';
import { inspectModel } from '../../onnx/inspect.ts';
import { findFault, VALUES } from './values.ts';

/** The choices for a new project. */
export interface ProjectOptions {
  /** The folder that gets the files; it is created if it does not exist. */
  readonly folder: string;
  /** The name of the service, the image and the model. Default: that of the folder. */
  readonly name?: string | undefined;
  /** The project in Google Cloud. Default: the files say `PROJECT_ID`, which the user replaces. */
  readonly project?: string | undefined;
  /** Default: {@link DEFAULT_REGION}. */
  readonly region?: string | undefined;
  /** The image of the server. Default: `ml-model`, and in Cloud Build the one of that name in the project's repository `ml`. */
  readonly image?: string | undefined;
  /** An `.onnx` file, or the folder of a model. Default: the bundled iris model as an example. */
  readonly model?: string | undefined;
  /** Replace files that exist. */
  readonly force?: boolean | undefined;
}

/** Where the program has the files that it copies. */
export interface ProjectSources {
  /** The folder of the template. */
  readonly template: string;
  /** The folder of the model that is the example. */
  readonly example: string;
}

/** What was done, as paths relative to the folder. */
interface Created {
  readonly files: readonly string[];
  /** Those of the files that existed before. */
  readonly replaced: readonly string[];
}

/** The files of a project, each with its source in the template: npm leaves files such as .gitignore out of a package. */
const TEMPLATE: Readonly<Record<string, string>> = {
  'README.md': 'README.md',
  Dockerfile: 'Dockerfile',
  '.dockerignore': 'dockerignore',
  '.gcloudignore': 'gcloudignore',
  'service.yaml': 'service.yaml',
  'cloudbuild.yaml': 'cloudbuild.yaml',
  'cloud-build/build-image.sh': 'cloud-build/build-image.sh',
  'cloud-build/test-image.sh': 'cloud-build/test-image.sh',
  'cloud-build/push-image.sh': 'cloud-build/push-image.sh',
  'cloud-build/service-file.sh': 'cloud-build/service-file.sh',
  'cloud-build/deploy.sh': 'cloud-build/deploy.sh',
  'cloud-build/test-revision.sh': 'cloud-build/test-revision.sh',
  'cloud-build/move-traffic.sh': 'cloud-build/move-traffic.sh',
  '.github/workflows/deploy.yml': 'deploy-workflow.yml',
};
/** The files of the example. */
const EXAMPLE = ['model.onnx', 'model.json', 'golden.json'];
const MODEL_FILE = 'model.onnx';
const DEFAULT_REGION = 'us-central1';
const UNKNOWN_PROJECT = 'PROJECT_ID';
const BASE = 'ml-model';

/**
 * Writes the files of a project for one's own model: the model, its Dockerfile, its service and its build.
 * @throws ServingError `INVALID_INPUT` for an invalid value and if files exist that would be replaced, `MODEL_FAILED` for a file that is
 * not an ONNX model: then nothing is written.
 */
export function createProject(options: ProjectOptions, { template, example }: ProjectSources): Created {
  const { folder, model, force = false } = options;
  for (const value of VALUES) {
    const fault = options[value] === undefined ? undefined : findFault(value, options[value]);
    if (fault !== undefined) throw new ServingError('INVALID_INPUT', `--${value}: ${fault}`);
  }
  const name = options.name ?? nameOf(folder);
  const values: Readonly<Record<string, string>> = {
    __NAME__: name,
    __PROJECT__: options.project ?? UNKNOWN_PROJECT,
    __REGION__: options.region ?? DEFAULT_REGION,
    __BASE__: options.image ?? BASE,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a substitution of Cloud Build.
    __BUILD_BASE__: options.image ?? '${_REGION}-docker.pkg.dev/$PROJECT_ID/ml/ml-model:latest',
  };
  const models = model === undefined ? EXAMPLE.map((file) => [file, join(example, file)] as const) : filesOf(model);
  const copies = models.map(([file, from]) => [join('models', name, file), from] as const);
  const files = [...Object.keys(TEMPLATE), ...copies.map(([file]) => file)];
  const replaced = files.filter((file) => existsSync(join(folder, file)));
  if (replaced.length > 0 && !force) {
    const problem = `nothing was written, because ${folder} has ${replaced.join(', ')}`;
    throw new ServingError('INVALID_INPUT', `${problem}: --force replaces these files`);
  }
  for (const [file, source] of Object.entries(TEMPLATE)) {
    const from = join(template, source);
    const text = readFileSync(from, 'utf8').replace(/__[A-Z_]+?__/g, (found) => values[found] ?? found);
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text, { mode: statSync(from).mode });
  }
  for (const [file, from] of copies) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    // Follows links, which the files of a cache of downloads are.
    copyFileSync(from, join(folder, file));
  }
  return { files, replaced };
}

function nameOf(folder: string): string {
  const name = basename(resolve(folder));
  const fault = findFault('name', name);
  if (fault === undefined) return name;
  throw new ServingError('INVALID_INPUT', `the name of the folder is not one for a service, give --name: ${fault}`);
}

/**
 * The files of a model, as paths below its new folder and their sources: of a file, also those with its external data; of a folder, all
 * of it.
 */
function filesOf(model: string): (readonly [file: string, from: string])[] {
  const stats = statSync(model, { throwIfNoEntry: false });
  if (stats === undefined) throw refuseModel(model, 'no such file or folder');
  if (stats.isDirectory()) return filesOfFolder(model);
  const { external } = inspectModel(model);
  const data = external.map((file) => [file, join(dirname(model), file)] as const);
  for (const [file, from] of data) {
    const isBelow = !relative(dirname(model), from).startsWith('..');
    if (!isBelow || !existsSync(from)) throw refuseModel(model, `expected its data ${file} beside it`);
  }
  return [[MODEL_FILE, model], ...data];
}

function filesOfFolder(model: string): (readonly [file: string, from: string])[] {
  const paths = readdirSync(model, { recursive: true, encoding: 'utf8' });
  const files = paths.filter((path) => statSync(join(model, path), { throwIfNoEntry: false })?.isFile());
  const onnx = files.filter((file) => /^(\d+[/\\])?model\.onnx$/.test(file));
  if (onnx.length === 0)
    throw refuseModel(model, `expected ${MODEL_FILE} in it, or in a folder with the number of a version`);
  for (const file of onnx) inspectModel(join(model, file));
  return files.map((file) => [file, join(model, file)]);
}

const refuseModel = (model: string, problem: string): ServingError =>
  new ServingError('INVALID_INPUT', `--model ${model}: ${problem}`);
