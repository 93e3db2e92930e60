import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { ServingError } from '../errors.ts';
import type { ProjectOptions } from './init/create-project.ts';
import { findFault } from './init/values.ts';
import { EXIT, type Verb } from './verb.ts';

/** The build has the template beside this file, with all that belongs to it; from the sources it is read there. */
const DIST = import.meta.url.endsWith('.ts') ? '../../dist/' : './';
const SOURCES = {
  template: fileURLToPath(new URL(`${DIST}template`, import.meta.url)),
  example: fileURLToPath(new URL(`${DIST}../models/iris`, import.meta.url)),
};

const HELP = `
The folder gets the model, a Dockerfile, a service of Cloud Run, a build of
Cloud Build, a workflow of GitHub, and a README.md with the next commands.
Nothing is written if one of the files exists, unless --force is given.

Examples:
  onnx-cloud-run init fraud --model model.onnx --project my-project --region europe-west1
  onnx-cloud-run init                              in the current folder, with an example

Exit codes: 1 if files exist or the model cannot be used, 2 for wrong usage.`;

/** A parser of an option whose value has a rule. */
function read(value: Parameters<typeof findFault>[0]): (given: string) => string {
  return (given) => {
    const fault = findFault(value, given);
    if (fault === undefined) return given;
    throw new InvalidArgumentError(`${fault[0]!.toUpperCase()}${fault.slice(1)}.`);
  };
}

/** `onnx-cloud-run init [FOLDER]`: writes the files of a project. */
export const init: Verb = {
  name: 'init',
  summary: 'create a folder to deploy a model of your own',
  add(command) {
    command
      .argument('[folder]', 'the folder, which is created if it does not exist', '.')
      .option('--model <path>', "a .onnx file, or a model's folder, to copy (default: an example)")
      .option('--name <name>', 'of the service, the image and the model (default: that of the folder)', read('name'))
      .option('--project <id>', 'the project in Google Cloud', read('project'))
      .option('--region <region>', 'the region in Google Cloud (default: us-central1)', read('region'))
      .option('--image <image>', 'the image of the server (default: ml-model)', read('image'))
      .option('--force', 'replace files that exist')
      .addHelpText('after', HELP)
      .action(async (folder: string, options: Omit<ProjectOptions, 'folder'>) => {
        const { createProject } = await import('./init/create-project.ts');
        try {
          const { files, replaced } = createProject({ ...options, folder }, SOURCES);
          process.stdout.write(report(folder, files, replaced, options.project));
        } catch (error) {
          if (!(error instanceof ServingError)) throw error;
          command.error(error.message, { exitCode: EXIT.failure });
        }
      });
  },
};

function report(folder: string, files: readonly string[], replaced: readonly string[], project?: string): string {
  const lines = files.map((file) => `  ${file}${replaced.includes(file) ? ' (replaced)' : ''}\n`);
  const missing =
    project === undefined
      ? '\nReplace PROJECT_ID in README.md, service.yaml and .github/workflows/deploy.yml, or use --project.\n'
      : '';
  return `Created in ${resolve(folder)}:\n${lines.join('')}${missing}\nREADME.md has the next commands.\n`;
}
