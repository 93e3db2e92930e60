/**
 * `npm run deploy-check`: checks that all deployment files agree with the image, the settings, and the schemas of Cloud Run,
 * Cloud Build and Kubernetes. Prints a line for each finding. Without kubectl, k8s/ is not checked, which is a failure in CI.
 */
import { join } from 'node:path';
import { readCommandLine } from './command-line.ts';
import { checkDeployment } from './deploy-check/check.ts';
import { findMissingKubectl } from './deploy-check/kustomize.ts';
import { showFinding } from './deploy-check/yaml.ts';

const USAGE = `npm run deploy-check: checks that the deployment files agree with the image, the settings and their schemas.

Usage: npm run deploy-check [-- --root FOLDER]

  --root FOLDER   the folder of the deployment files; default: this repository

Exit code: 1 if there are findings. Without kubectl, k8s/ is not checked, which is a failure if CI is set.`;

const { values } = readCommandLine(USAGE, {
  root: { type: 'string', default: join(import.meta.dirname, '..') },
});
const missing = findMissingKubectl();
const { findings, files, builds, objects } = checkDeployment(values.root, missing === undefined);
for (const finding of findings) console.log(showFinding(finding));
console.log(
  `${files.length} files, ${builds.length} builds of kustomize and ${objects} objects checked: ${findings.length} findings`,
);
if (missing !== undefined) console.error(`k8s/ is not checked: ${missing}`);
const failed = findings.length > 0 || (missing !== undefined && (process.env.CI ?? '') !== '');
process.exitCode = failed ? 1 : 0;
