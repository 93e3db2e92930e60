import { posix } from 'node:path';
import { fillIn } from '../compose.ts';
import type { Container, Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Image } from '../image.ts';
import type { Node } from '../node.ts';
import type { Rule, Scope } from '../scope.ts';

/** Volumes leave the image's programs in sight, there is a folder to write to, and local models are where they are looked for. */
export const checkMounts: Rule = (scope) => [
  ...scope.pods.flatMap(checkVolumes),
  ...scope.pods.flatMap((pod) => pod.containers.flatMap((one) => checkPodMounts(one, pod, scope))),
  ...scope.containers
    .filter(({ ours, platform }) => ours && platform === 'compose')
    .flatMap((one) => checkComposeMounts(one, scope.image)),
];

/** Patches of two components may each have given the volume a type. */
function checkVolumes({ spec }: Pod): Finding[] {
  return spec.at('volumes').items.flatMap((volume) => {
    const types = volume.entries.map(([type]) => type).filter((type) => type !== 'name' && !type.startsWith('$'));
    return types.length > 1 ? [volume.finding(`is ${types.join(' and ')}, expected one of them`)] : [];
  });
}

interface Mount {
  readonly path: string;
  readonly node: Node;
}

function checkPodMounts(container: Container, { platform, spec }: Pod, { built, image }: Scope): Finding[] {
  const { node } = container;
  const volumes = new Map(spec.at('volumes').items.map((volume) => [volume.at('name').text, volume]));
  const whole = built || platform === 'cloud-run';
  const findings: Finding[] = [];
  const mounts: Mount[] = [];
  for (const mount of node.at('volumeMounts').items) {
    mounts.push({ path: mount.at('mountPath').text ?? '', node: mount });
    const name = mount.at('name');
    if (whole && !volumes.has(name.text)) findings.push(name.finding(`the pod has no volume ${name.text}`));
  }
  if (!container.ours) return findings;
  findings.push(...checkPaths(mounts, container, image, whole));
  const readOnly = node.at('securityContext', 'readOnlyRootFilesystem');
  if (whole && readOnly.value === true && !mounts.some(({ path }) => isInside('/tmp', path)))
    findings.push(readOnly.finding('the root is read-only and nothing is mounted at /tmp, where the server writes'));
  return findings;
}

function checkComposeMounts(container: Container, image: Image): Finding[] {
  const { node } = container;
  const mounts = node.at('volumes').items.map((one): Mount => {
    const path = one.at('target').text ?? (fillIn(one.text ?? '') ?? '').split(':')[1] ?? '';
    return { path, node: one };
  });
  const temporary = [...node.at('tmpfs').items, node.at('tmpfs')].map(({ text = '' }) => text.split(':')[0]!);
  const findings = checkPaths(mounts, container, image, true);
  const writable = [...mounts.map(({ path }) => path), ...temporary].some((path) => isInside('/tmp', path));
  if (node.at('read_only').value === true && !writable)
    findings.push(node.at('read_only').finding('the root is read-only and /tmp, where the server writes, is no tmpfs'));
  return findings;
}

function checkPaths(mounts: readonly Mount[], { env }: Container, { workdir }: Image, whole: boolean): Finding[] {
  const findings: Finding[] = [];
  for (const { path, node } of mounts) {
    if (
      [posix.join(workdir, 'dist'), posix.join(workdir, 'node_modules'), '/nodejs'].some((ours) => isInside(ours, path))
    )
      findings.push(node.finding(`mounted at ${path}, over what the image runs`));
  }
  const uri = env.find(({ name }) => name === 'MODEL_URI');
  const path = uri?.value?.replace(/^file:\/\//, '');
  if (!whole || path === undefined || path.includes('://') || !path.startsWith('/')) return findings;
  if (![...mounts.map((one) => one.path), workdir].some((folder) => isInside(path, folder)))
    findings.push(uri!.node.finding(`MODEL_URI=${uri!.value}, but no volume is mounted there`));
  return findings;
}

function isInside(path: string, folder: string): boolean {
  return folder !== '' && !posix.relative(folder, path).startsWith('..');
}
