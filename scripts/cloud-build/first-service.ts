/**
 * Writes the service file for a first deployment: SERVICE_FILE with this build's names. Cloud Run accepts JSON like YAML.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

interface ServiceFile {
  metadata: { name: string };
  spec: {
    template: {
      metadata: { name?: string };
      spec: { serviceAccountName?: string; containers: Container[] };
    };
  };
}

interface Container {
  image: string;
  ports?: unknown;
  env?: { name: string; value?: string }[];
}

/** The values of a build that replace those of the file. */
export interface BuildNames {
  readonly service: string;
  readonly revision: string;
  /** The image, by digest. */
  readonly image: string;
  readonly project: string;
  /** The address of the service account; '' keeps that of the file, or else Cloud Run's default. */
  readonly account: string;
  /** The `MODEL_NAME` of a service whose file has none; '' for none. */
  readonly model: string;
}

/**
 * The file's service with this build's values, as JSON: the container that has a port gets the image.
 * @throws Error if the file is not a service with one such container.
 */
export function firstService(text: string, names: BuildNames): string {
  const file = parse(text.replaceAll('PROJECT_ID', names.project)) as ServiceFile;
  const { template } = file.spec;
  const serving = template.spec.containers.filter(({ ports }) => ports !== undefined);
  if (serving.length !== 1)
    throw new Error(`expected one container with ports in the service file, got ${serving.length}`);
  const [container] = serving as [Container];
  container.image = names.image;
  const { env = [] } = container;
  const missing = names.model !== '' && env.every(({ name }) => name !== 'MODEL_NAME');
  if (missing) container.env = [...env, { name: 'MODEL_NAME', value: names.model }];
  file.metadata.name = names.service;
  template.metadata.name = names.revision;
  if (names.account !== '') template.spec.serviceAccountName = names.account;
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: this is a step of cloudbuild.yaml`);
  return value;
}

if (import.meta.main) {
  const state = process.env.STATE ?? '/workspace/.cloud-build';
  const account = variable('RUN_ACCOUNT');
  const project = variable('PROJECT_ID');
  mkdirSync(state, { recursive: true });
  writeFileSync(
    join(state, 'service.json'),
    firstService(readFileSync(variable('SERVICE_FILE'), 'utf8'), {
      service: variable('SERVICE'),
      revision: `${variable('SERVICE')}-${variable('COMMIT_SHA').slice(0, 7)}-${variable('BUILD_ID').slice(0, 8)}`,
      image: readFileSync(join(state, 'image'), 'utf8').trim(),
      project,
      account: account === '' ? '' : `${account}@${project}.iam.gserviceaccount.com`,
      model: variable('MODEL_NAME'),
    }),
  );
}
