/**
 * `npm run deploy-check`: checks that all deployment files agree with the image, the settings, and the schemas of Cloud Run,
 * Kubernetes and docker-compose. Prints a line for each finding. Without kubectl, the builds of kustomize are not checked, which is a
 * failure in CI.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkDeployment } from './deploy-check/check.ts';
import { showFinding } from './deploy-check/finding.ts';
import { findMissingKubectl } from './deploy-check/kustomize.ts';

const { values } = parseArgs({ options: { root: { type: 'string', default: join(import.meta.dirname, '..') } } });
const missing = findMissingKubectl();
const { findings, files, builds, objects } = await checkDeployment(values.root, missing === undefined);
for (const finding of findings) console.log(showFinding(finding));
console.log(
  `${files.length} files, ${builds.length} builds of kustomize and ${objects} objects checked: ${findings.length} findings`,
);
if (missing !== undefined) console.error(`builds of kustomize were left out: ${missing}`);
const failed = findings.length > 0 || (missing !== undefined && (process.env.CI ?? '') !== '');
process.exitCode = failed ? 1 : 0;
