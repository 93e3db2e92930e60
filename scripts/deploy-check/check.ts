import { globSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import { readEnvFile } from './env-file.ts';
import { type Finding, withoutRepeats } from './finding.ts';
import { type Image, readImage } from './image.ts';
import { buildAll } from './kustomize.ts';
import type { Node } from './node.ts';
import { checkCloudBuild } from './rules/cloud-build.ts';
import { checkCloudRun } from './rules/cloud-run.ts';
import { checkEnvironment, checkImageEnvironment } from './rules/environment.ts';
import { checkImages } from './rules/images.ts';
import { checkMemory } from './rules/memory.ts';
import { checkMounts } from './rules/mounts.ts';
import { checkPorts } from './rules/ports.ts';
import { checkProbes } from './rules/probes.ts';
import { checkReferences } from './rules/references.ts';
import { checkShutdown } from './rules/shutdown.ts';
import { checkUser } from './rules/user.ts';
import { checkSchemas } from './schema.ts';
import { createScope, type Rule } from './scope.ts';
import { readYaml } from './yaml-file.ts';

interface Report {
  readonly findings: readonly Finding[];
  readonly files: readonly string[];
  /** The folders of the builds by kustomize. */
  readonly builds: readonly string[];
  /** The number of objects in files and builds. */
  readonly objects: number;
}

const RULES: readonly Rule[] = [
  checkEnvironment,
  checkPorts,
  checkReferences,
  checkProbes,
  checkUser,
  checkMounts,
  checkImages,
  checkShutdown,
  checkMemory,
  checkCloudRun,
  checkCloudBuild,
];

/**
 * Checks all deployment files against the image, the settings, and the schemas of the platforms.
 * @param root the project's folder.
 * @param kustomize whether to build k8s/ with kustomize, and check the builds.
 */
export async function checkDeployment(root: string, kustomize: boolean): Promise<Report> {
  const { image, findings: ofImage } = readImage(root);
  const files = findFiles(root);
  const findings = [...ofImage, ...checkImageEnvironment(image)];
  const documents: Node[] = [];
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    if (file.endsWith('.env')) documents.push(readEnvFile(file, text));
    else {
      const read = readYaml(file, text);
      documents.push(...read.documents);
      findings.push(...read.findings);
    }
  }
  findings.push(...applyRules(documents, image, 'files'));
  const resources = findResources(documents);
  findings.push(...(await checkSchemas(documents, ({ source }) => resources.has(source.file))));

  const builds = kustomize ? buildAll(root) : [];
  const built: Node[] = [];
  for (const { name, overlay, text, findings: ofBuild } of builds) {
    const { documents: objects } = readYaml(name, text, true);
    findings.push(...ofBuild, ...applyRules(objects, image, overlay ? 'overlay' : 'build'));
    built.push(...objects);
  }
  findings.push(...(await checkSchemas(withoutCopies(built), () => true)));
  return {
    findings: withoutRepeats(findings),
    files,
    builds: builds.map(({ name }) => name),
    objects: documents.length + built.length,
  };
}

function applyRules(documents: readonly Node[], image: Image, of: 'files' | 'build' | 'overlay'): Finding[] {
  const scope = createScope(documents, image, of);
  return RULES.flatMap((rule) => rule(scope));
}

/** All YAML files of the project, and the files of variables that kustomize reads. */
function findFiles(root: string): string[] {
  const exclude = ['node_modules', 'dist', '.git', 'test'];
  return globSync(['**/*.yaml', '**/*.yml', 'k8s/**/*.env'], { cwd: root, exclude })
    .map((path) => path.split(sep).join('/'))
    .sort();
}

/** Files that kustomizations use as complete objects, not as patches. */
function findResources(documents: readonly Node[]): Set<string> {
  return new Set(
    documents.flatMap((document) =>
      document.at('resources').items.map((one) => posix.join(posix.dirname(document.source.file), one.text ?? '')),
    ),
  );
}

function withoutCopies(objects: readonly Node[]): Node[] {
  return [...new Map(objects.map((object) => [JSON.stringify(object.value), object])).values()];
}
