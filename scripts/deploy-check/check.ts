import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { createScope, type Rule, type Scope } from './containers.ts';
import { readImage } from './image.ts';
import { buildAll } from './kustomize.ts';
import { checkCloudRun } from './rules/cloud-run.ts';
import { checkCloudRunLimits } from './rules/cloud-run-limits.ts';
import { checkEnvironment, checkImageEnvironment } from './rules/environment.ts';
import { checkImages } from './rules/images.ts';
import { checkPods } from './rules/pods.ts';
import { checkPorts } from './rules/ports.ts';
import { checkProbes } from './rules/probes.ts';
import { checkReferences } from './rules/references.ts';
import { checkShutdown } from './rules/shutdown.ts';
import { checkSchemas } from './schema.ts';
import { type Finding, type Node, readYaml } from './yaml.ts';

const RULES: readonly Rule[] = [
  checkEnvironment,
  checkPorts,
  checkProbes,
  checkPods,
  checkImages,
  checkShutdown,
  checkCloudRun,
  checkCloudRunLimits,
  checkReferences,
];

/**
 * Checks all deployment files against the image, the settings, and the schemas of the platforms. Files of k8s/ are checked as
 * kustomize builds them, because a patch or a setting has its meaning only there.
 * @param root the project's folder.
 * @param kustomize whether to build k8s/ with kustomize, and check the builds.
 * @returns also what was checked: the files, the folders of the builds, and the number of objects in both.
 */
export function checkDeployment(root: string, kustomize: boolean) {
  const { image, findings: ofImage } = readImage(root);
  // functions/ has the template of `onnx-cloud-run init`, whose names are placeholders.
  const exclude = ['node_modules', 'dist', '.git', 'test', 'functions'];
  const files = globSync(['**/*.yaml', '**/*.yml'], { cwd: root, exclude }).map((path) => path.split(sep).join('/'));
  const read = files.sort().map((file) => readYaml(file, readFileSync(join(root, file), 'utf8')));
  const documents = read.flatMap((one) => one.documents);
  const plain = documents.filter(({ source: { file } }) => !/^k8s\/.*(?<!\/kustomization\.yaml)$/.test(file));
  const builds = kustomize ? buildAll(root) : [];
  const built = builds.flatMap((build) => build.documents);
  const apply = (scope: Scope): Finding[] => RULES.flatMap((rule) => rule(scope));
  const findings = [
    ...ofImage,
    ...checkImageEnvironment(image),
    ...read.flatMap((one) => one.findings),
    ...apply(createScope(plain, image)),
    ...builds.flatMap((build) => build.findings),
    ...builds.flatMap((build) => apply(createScope(build.documents, image, build.overlay))),
    ...checkSchemas([...plain, ...withoutCopies(built, (object) => JSON.stringify(object.value))]),
  ];
  return {
    // The base is in many builds, and its ConfigMap has another hash in each.
    findings: withoutCopies(findings, ({ file, line, place, problem }) =>
      [line && file, line, place.replace(/^(ConfigMap\S*)-\w{10} /, '$1 '), problem].join(),
    ),
    files,
    builds: builds.map(({ name }) => name),
    objects: plain.length + built.length,
  };
}

/** The first of those with the same key. */
function withoutCopies<T extends Finding | Node>(all: readonly T[], keyOf: (one: T) => string): T[] {
  return [...new Map(all.toReversed().map((one) => [keyOf(one), one])).values()].reverse();
}
