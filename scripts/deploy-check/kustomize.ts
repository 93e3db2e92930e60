import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { readYaml } from './yaml.ts';

/** The oldest major version that can build the manifests. Debian 12's kubectl has kustomize 2, which lacks components. */
const LEAST = 5;

/** @returns what to do if there is no kubectl with a kustomize that is new enough; undefined if there is one. */
export function findMissingKubectl(): string | undefined {
  const { stdout, error } = spawnSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8' });
  const how =
    'install kubectl 1.27 or newer: https://kubernetes.io/docs/tasks/tools/ (Debian 13: apt-get install kubernetes-client)';
  if (error !== undefined) return `there is no kubectl: ${how}`;
  const [, major] = /"kustomizeVersion":\s*"v(\d+)/.exec(stdout) ?? [];
  return Number(major) >= LEAST ? undefined : `kubectl has kustomize ${major ?? 'of an unknown version'}: ${how}`;
}

/** Builds k8s/base, every overlay, and the base with each component alone. */
export function buildAll(root: string) {
  const foldersOf = (pattern: string) =>
    globSync(`k8s/${pattern}/kustomization.yaml`, { cwd: root }).sort().map(dirname);
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'deploy-check-'));
  const below = (path: string) => relative(folder, realpathSync(join(root, path)));
  try {
    return [
      ...foldersOf('base').map((name) => build(name, join(root, name), false)),
      ...foldersOf('overlays/*').map((name) => build(name, join(root, name), true)),
      ...foldersOf('components/*').map((name) => {
        const kind = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' };
        const text = JSON.stringify({ ...kind, resources: [below('k8s/base')], components: [below(name)] });
        writeFileSync(join(folder, 'kustomization.yaml'), text);
        return build(name, folder, false);
      }),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Builds a folder. @param overlay whether it is deployed to a cluster. */
export function build(name: string, folder: string, overlay: boolean) {
  const { stdout, stderr, status } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  // Besides errors, it prints warnings about deprecated fields.
  const problem = stderr.trim().replaceAll(/\s*\n\s*/g, ' ');
  const failed = problem !== '' || status !== 0;
  const findings = failed ? [{ file: name, line: undefined, place: 'kubectl kustomize', problem }] : [];
  return { name, overlay, documents: status === 0 ? readYaml(name, stdout, true).documents : [], findings };
}
