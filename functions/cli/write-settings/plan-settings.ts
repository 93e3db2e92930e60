import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Document, isMap, isSeq } from 'yaml';
import { ServingError } from '../../errors.ts';
import { setVariables } from './env-file.ts';
import { numberOf, type PlannedFile, quantityOf, type ServiceSettings } from './settings.ts';
import { type Path, readYaml, type YamlFile } from './yaml-file.ts';

/** What to write into the files of a project. */
export interface SettingsPlan {
  readonly files: readonly PlannedFile[];
  /** Files of patches that set memory or CPU as well, and are not changed: they differ from the base on purpose. */
  readonly overriding: readonly string[];
}

/** Where the container of the server is in a document. */
interface Place {
  readonly document: Document;
  /** The path of the pod's spec. */
  readonly spec: readonly string[];
  readonly container: Path;
}

const SPEC = ['spec', 'template', 'spec'];
/** Patches of Kustomize, which are for a stage or a feature. */
const PATCHES = /(^|[/\\])(overlays|components)[/\\]/;

/**
 * Plans the change of the settings in the files of a project: the Knative service in `service.yaml`, and the Deployments in `k8s/`,
 * without patches of Kustomize. Variables of a Deployment go to `config.env` beside it, if there is one.
 * @param folder of the project
 * @throws ServingError `INVALID_INPUT` if there is neither, if one has no container, or if a file is not YAML
 */
export function planSettings(folder: string, settings: ServiceSettings): SettingsPlan {
  const service = join(folder, 'service.yaml');
  const manifests = globSync('k8s/**/*.{yaml,yml}', { cwd: folder }).sort();
  const files: PlannedFile[] = [];
  if (existsSync(service)) files.push(planService(service, settings));
  const overriding: string[] = [];
  for (const name of manifests) {
    const path = join(folder, name);
    const file = readYaml(readFileSync(path, 'utf8'), path);
    const deployments = file.documents.filter((document) => document.get('kind') === 'Deployment');
    if (deployments.length === 0) continue;
    if (!PATCHES.test(name)) files.push(...planDeployments(path, file, deployments, settings));
    else if (deployments.some((document) => setsResources(placeIn(document)))) overriding.push(path);
  }
  if (files.length > 0) return { files, overriding };
  const message = `${folder}: expected a service.yaml or a folder k8s in it: onnx-cloud-run init creates the files of a project`;
  throw new ServingError('INVALID_INPUT', message);
}

function planService(path: string, settings: ServiceSettings): PlannedFile {
  const file = readYaml(readFileSync(path, 'utf8'), path);
  const document = file.documents.find((one) => one.get('kind') === 'Service' && one.hasIn([...SPEC, 'containers']));
  const place = document && placeIn(document);
  if (place === undefined) throw noContainer(path, 'a service of Cloud Run (serving.knative.dev/v1, kind Service)');
  const { concurrency, variables = {} } = settings;
  if (concurrency !== undefined) file.set(place.document, [...place.spec, 'containerConcurrency'], concurrency);
  setResources(file, place, settings);
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) file.setNamed(place.document, [...place.container, 'env'], name, value);
  }
  return { path, text: file.text(), changes: file.changes };
}

function planDeployments(
  path: string,
  file: YamlFile,
  deployments: readonly Document[],
  settings: ServiceSettings,
): PlannedFile[] {
  const { variables = {} } = settings;
  const environment = join(dirname(path), 'config.env');
  const hasFile = existsSync(environment);
  for (const document of deployments) {
    const place = placeIn(document);
    if (place === undefined) throw noContainer(path, 'a Deployment');
    setResources(file, place, settings);
    raiseRequests(file, place, settings);
    for (const [name, value] of hasFile ? [] : Object.entries(variables)) {
      if (value !== undefined) file.setNamed(document, [...place.container, 'env'], name, value);
    }
  }
  const planned = { path, text: file.text(), changes: file.changes };
  return hasFile ? [planned, setVariables(environment, variables)] : [planned];
}

/** The container of the server: that of the document's name, else the one with a port, else the first. */
function placeIn(document: Document): Place | undefined {
  const list = document.getIn([...SPEC, 'containers'], true);
  if (!isSeq(list)) return undefined;
  const containers = list.items.map((item) => (isMap(item) ? item : undefined));
  const name = document.getIn(['metadata', 'name']);
  const index = [
    containers.findIndex((one) => name !== undefined && one?.get('name') === name),
    containers.findIndex((one) => one?.has('ports')),
    containers.findIndex((one) => one !== undefined),
  ].find((found) => found !== -1);
  return index === undefined ? undefined : { document, spec: SPEC, container: [...SPEC, 'containers', index] };
}

function setResources(file: YamlFile, { document, container }: Place, { cpu, memoryBytes }: ServiceSettings): void {
  const limits = [...container, 'resources', 'limits'];
  if (cpu !== undefined) setQuantity(file, document, [...limits, 'cpu'], String(cpu), true);
  if (memoryBytes !== undefined) setQuantity(file, document, [...limits, 'memory'], quantityOf(memoryBytes));
}

/** Leaves a value that means the same: 1024Mi is 1Gi, and 1000m is 1. */
function setQuantity(file: YamlFile, document: Document, path: Path, value: string, quoted = false): void {
  const before = document.getIn(path);
  if (before !== undefined && numberOf(String(before)) === numberOf(value)) return;
  file.set(document, path, value, quoted);
}

/** Memory that is not requested may be missing on the node; and a request must not be above its limit. */
function raiseRequests(file: YamlFile, { document, container }: Place, { cpu, memoryBytes }: ServiceSettings): void {
  const requests = [...container, 'resources', 'requests'];
  if (memoryBytes !== undefined) setQuantity(file, document, [...requests, 'memory'], quantityOf(memoryBytes));
  const requested = numberOf(String(document.getIn([...requests, 'cpu']) ?? ''));
  if (cpu !== undefined && requested !== undefined && requested > cpu)
    file.set(document, [...requests, 'cpu'], String(cpu), true);
}

function setsResources(place: Place | undefined): boolean {
  return place?.document.hasIn([...place.container, 'resources']) === true;
}

const noContainer = (path: string, what: string): ServingError =>
  new ServingError('INVALID_INPUT', `${path}: expected ${what} with a container`);
