import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDockerfile, type Stage } from './dockerfile.ts';
import type { Finding } from './finding.ts';
import { type Routes, readRoutes } from './routes.ts';

export const DOCKERFILE = 'Dockerfile.ml';

/** The properties of the image with which the files that run it must agree. */
export interface Image {
  /** The stages of the Dockerfile that are run. */
  readonly stages: readonly Stage[];
  readonly port: number;
  readonly uid: number;
  readonly gid: number;
  readonly workdir: string;
  readonly routes: Routes;
}

/** Reads the image of `root`, and checks that all images of its Dockerfile have the same user, folder and port. */
export function readImage(root: string): { image: Image; findings: Finding[] } {
  const stages = readDockerfile(readFileSync(join(root, DOCKERFILE), 'utf8')).filter((stage) => stage.final);
  const last = stages.at(-1);
  if (last === undefined) throw new Error(`${DOCKERFILE}: it has no FROM, and so builds no image`);
  const [uid = Number.NaN, gid = Number.NaN] = last.user.split(':').map(Number);
  const port = last.exposes[0] ?? Number.NaN;
  const image: Image = { stages, port, uid, gid, workdir: last.workdir, routes: readRoutes() };
  return { image, findings: stages.flatMap((stage) => checkStage(stage, image)) };
}

function checkStage(stage: Stage, { port, uid, gid, workdir }: Image): Finding[] {
  const findings: Finding[] = [];
  const say = (problem: string, line = stage.line): void => {
    findings.push({ file: DOCKERFILE, line, place: `stage ${stage.name}`, problem });
  };
  if (stage.exposes.length !== 1 || stage.exposes[0] !== port || Number.isNaN(port))
    say(`exposes ${stage.exposes.join(', ') || 'no port'}, expected one port, the same in every image`);
  const set = stage.env.get('PORT');
  if (set !== undefined && Number(set.value) !== port) say(`PORT=${set.value}, but it exposes ${port}`, set.line);
  // Kubernetes refuses a name: only the image's /etc/passwd shows that it is not root.
  if (stage.user !== `${uid}:${gid}` || !(uid > 0))
    say(`runs as "${stage.user}", expected numbers, <user>:<group>, not of root`);
  if (stage.workdir !== workdir) say(`works in ${stage.workdir}, the last image in ${workdir}`);
  return findings;
}
