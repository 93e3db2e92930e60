import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { Finding } from './finding.ts';

/** A build by kustomize: of an overlay, or of the base with a component. */
interface Build {
  /** Its folder. */
  readonly name: string;
  readonly overlay: boolean;
  /** Objects as YAML; empty if there is a finding. */
  readonly text: string;
  readonly findings: readonly Finding[];
}

/** The oldest major version that can build the manifests. Debian 12's kubectl has kustomize 2, which lacks components. */
const LEAST = 5;

/** @returns what to do if there is no kubectl with a kustomize that is new enough; undefined if there is one. */
export function findMissingKubectl(): string | undefined {
  const { stdout, error } = spawnSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8' });
  const how =
    'install kubectl 1.27 or newer: https://kubernetes.io/docs/tasks/tools/ (Debian 13: apt-get install kubernetes-client)';
  if (error !== undefined) return `there is no kubectl: ${how}`;
  const [, major] = /"kustomizeVersion":\s*"v(\d+)/.exec(stdout) ?? [];
  return Number(major) >= LEAST ? undefined : `kubectl has kustomize ${major ?? 'of old'}: ${how}`;
}

/** Builds k8s/base, every overlay, and base with each component alone. */
export function buildAll(root: string): Build[] {
  const base = join(root, 'k8s', 'base');
  if (!existsSync(base)) return [];
  const builds = [build(root, base, false)];
  for (const overlay of foldersOf(root, 'overlays')) builds.push(build(root, overlay, true));
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'deploy-check-'));
  try {
    for (const component of foldersOf(root, 'components')) {
      const paths = {
        resources: [relative(folder, realpathSync(base))],
        components: [relative(folder, realpathSync(component))],
      };
      const kind = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' };
      writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify({ ...kind, ...paths }));
      builds.push({ ...build(root, folder, false, component) });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return builds;
}

function foldersOf(root: string, of: string): string[] {
  return globSync(join(root, 'k8s', of, '*', 'kustomization.yaml'))
    .sort()
    .map(dirname);
}

function build(root: string, folder: string, overlay: boolean, called = folder): Build {
  const name = relative(root, called);
  const { stdout, stderr, status } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  const [, logged] = /err=("(?:\\.|[^"\\])*")/.exec(stderr) ?? [];
  // Besides errors, it prints warnings about deprecated fields. Kubernetes' kubectl prints `error: …`, Google's `err="…"`.
  const text = logged === undefined ? stderr.replace(/^error: /, '') : String(JSON.parse(logged));
  const said = text.trim().replaceAll(/\s*\n\s*/g, ' ');
  const findings =
    said === '' && status === 0 ? [] : [{ file: name, line: undefined, place: 'kubectl kustomize', problem: said }];
  return { name, overlay, text: status === 0 ? stdout : '', findings };
}
