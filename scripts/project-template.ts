import { cpSync } from 'node:fs';
import { join } from 'node:path';

/** Scripts of Cloud Build that a project of one's own runs as they are: they need nothing of this repository. */
const SHARED = ['push-image.sh', 'deploy.sh', 'move-traffic.sh'];

/** Writes the template of `onnx-cloud-run init` to the folder `template` of a build. @param root this repository */
export function writeTemplate(root: string, made: string): void {
  const target = join(made, 'template');
  cpSync(join(root, 'functions/cli/init/template'), target, { recursive: true });
  for (const name of SHARED) cpSync(join(root, 'scripts/cloud-build', name), join(target, 'cloud-build', name));
}
