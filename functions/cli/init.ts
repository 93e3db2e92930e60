import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ServingError } from '../errors.ts';
import type { ProjectOptions } from './init/create-project.ts';
import { EXIT, type Verb } from './verb.ts';

/** The build has the template beside this file, with all that belongs to it; from the sources it is read there. */
const DIST = import.meta.url.endsWith('.ts') ? '../../dist/' : './';
const SOURCES = {
  template: fileURLToPath(new URL(`${DIST}template`, import.meta.url)),
  example: fileURLToPath(new URL(`${DIST}../models/iris`, import.meta.url)),
};

/** `onnx-cloud-run init [FOLDER]`. */
export const init: Verb = {
  name: 'init',
  summary: 'create a folder for a model of your own: its image, its build and its service on Cloud Run',
  add(command) {
    command
      .argument('[folder]', 'the folder, which is created if it does not exist', '.')
      .option('--model <path>', "a .onnx file, or a model's folder, to copy (default: an example)")
      .option('--name <name>', 'the name of the service, the image and the model (default: that of the folder)')
      .option('--project <id>', 'the project in Google Cloud')
      .option('--region <region>', 'the region in Google Cloud (default: us-central1)')
      .option('--image <image>', 'the image of the server (default: ml-model)')
      .option('--force', 'replace files that exist')
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
    project === undefined ? '\nReplace PROJECT_ID in README.md, service.yaml and deploy.yml, or use --project.\n' : '';
  return `Created in ${resolve(folder)}:\n${lines.join('')}${missing}\nREADME.md has the next commands.\n`;
}
