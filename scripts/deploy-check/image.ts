import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NATIVE } from '../../functions/routes/openapi/native.ts';
import { OPEN_INFERENCE } from '../../functions/routes/openapi/open-inference.ts';
import { OPENAI } from '../../functions/routes/openapi/openai.ts';
import { TENSORFLOW_SERVING } from '../../functions/routes/openapi/tensorflow-serving.ts';
import { TEXT_EMBEDDINGS } from '../../functions/routes/openapi/text-embeddings.ts';
import { createPageRoutes } from '../../functions/routes/pages/page.ts';
import type { Finding } from './yaml.ts';

export const DOCKERFILE = 'Dockerfile.ml';
/** The server's routes, as method and path: `POST /models/{name}/predict`. */
export const ROUTES: readonly string[] = [
  ...Object.keys({ ...NATIVE, ...OPEN_INFERENCE, ...TENSORFLOW_SERVING, ...TEXT_EMBEDDINGS, ...OPENAI }),
  ...createPageRoutes().map(({ method, path }) => `${method} ${path}`),
];
/** Routes that are served on the admin port alone, if there is one. */
const FOR_OPERATORS =
  /^GET \/metrics$|^\w+ \/v2\/(logging|trace\/setting|models\/\{name\}\/trace\/setting|repository\/models\/\{name\}\/(un)?load)$/;
/** The image's name, without its repository. */
const NAME = 'ml-model';
/** The name of the image of target gpu in manifests, which kustomize replaces by one with a repository and a tag. */
const GPU_NAME = 'ml-model-gpu';

/** The properties of the image with which the files that run it must agree. */
export interface Image {
  /** The stages of the Dockerfile that are run. */
  readonly stages: readonly Stage[];
  readonly port: number;
  readonly uid: number;
  readonly gid: number;
  readonly workdir: string;
}

interface Stage {
  readonly name: string;
  /** The line of its `FROM`. */
  readonly line: number;
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly exposes: string;
  readonly user: string;
  readonly workdir: string;
}

/** Reads the image of `root`, and checks that all images of its Dockerfile have the same user, folder and port. */
export function readImage(root: string): { image: Image; findings: Finding[] } {
  const stages = readStages(readFileSync(join(root, DOCKERFILE), 'utf8'));
  if (stages.length === 0) throw new Error(`${DOCKERFILE}: expected a stage with a CMD, got none: it builds no image`);
  const { exposes = '', user = '', workdir = '' } = stages.at(-1) ?? {};
  const [uid = Number.NaN, gid = Number.NaN] = user.split(':').map(Number);
  const findings = stages.flatMap((stage) => checkStage(stage, { exposes, user, workdir }));
  return { image: { stages, port: Number(exposes), uid, gid, workdir }, findings };
}

/** The stages with a CMD: the others only hold files for them. A stage writes all its instructions itself. */
function readStages(text: string): Stage[] {
  // Continued lines are joined with spaces of the same length, so that offsets are those of the file.
  const parts = text.replaceAll('\\\n', '  ').split(/^(?=FROM\s)/m);
  let offset = 0;
  return parts.flatMap((part) => {
    const line = text.slice(0, offset).split('\n').length;
    offset += part.length;
    if (!/^CMD\s/m.test(part)) return [];
    const all = (name: string) => Array.from(part.matchAll(new RegExp(`^${name}\\s+(.*)$`, 'gm')), ([, rest]) => rest!);
    const env = Array.from(
      all('ENV')
        .join(' ')
        .matchAll(/(\w+)=(?:"([^"]*)"|(\S*))/g),
      ([, key, quoted, plain]) => {
        return [key!, quoted ?? plain!] as const;
      },
    );
    const name = /^FROM .* AS (\S+)/i.exec(part)?.[1] ?? 'without a name';
    const last = (instruction: string) => all(instruction).at(-1)?.trim() ?? '';
    return [{ name, line, env, exposes: all('EXPOSE').join(' ').trim(), user: last('USER'), workdir: last('WORKDIR') }];
  });
}

function checkStage(stage: Stage, expected: Pick<Stage, 'exposes' | 'user' | 'workdir'>): Finding[] {
  const { name, line, env, exposes, user, workdir } = stage;
  const problems: string[] = [];
  if (exposes !== expected.exposes || !/^\d+$/.test(exposes))
    problems.push(`exposes ${exposes || 'no port'}, expected one port, the same in every image`);
  for (const [key, value] of env)
    if (key === 'PORT' && value !== exposes) problems.push(`PORT=${value}, but it exposes ${exposes}`);
  // Kubernetes refuses a name: only the image's /etc/passwd shows that it is not root.
  if (user !== expected.user || !/^[1-9]\d*:[1-9]\d*$/.test(user))
    problems.push(`runs as "${user}", expected numbers, <user>:<group>, not of root, the same in every image`);
  if (workdir !== expected.workdir) problems.push(`works in ${workdir || '/'}, the last image in ${expected.workdir}`);
  return problems.map((problem) => ({ file: DOCKERFILE, line, place: `stage ${name}`, problem }));
}

/** The name and the tag or digest of an image's reference: `[repository/]name[:tag][@digest]`. */
export function readReference(text: string): { name: string; version: string | undefined } {
  const [, name = '', version] = /([^/:@]*)(?:[:@]([^/]*))?$/.exec(text) ?? [];
  return { name, version };
}

/** Whether it is an image of Dockerfile.ml, in any repository. */
export function isOurs(reference: string): boolean {
  return [NAME, GPU_NAME].includes(readReference(reference).name);
}

/** Whether a route of `ROUTES` shows operators how the server runs, or changes the server. */
export function isForOperators(route: string): boolean {
  return FOR_OPERATORS.test(route);
}

/** Whether it is the image of target gpu. */
export function isGpu(reference: string): boolean {
  const { name, version } = readReference(reference);
  return name === GPU_NAME || /(^|-)gpu(@|$)/.test(version ?? '');
}
