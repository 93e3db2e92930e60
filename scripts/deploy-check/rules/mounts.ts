import { posix } from 'node:path';
import { fillIn } from '../compose.ts';
import type { Container } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Image } from '../image.ts';
import type { Node } from '../node.ts';
import type { Rule, Scope } from '../scope.ts';

/** Rule: volumes do not hide the image's programs, there is a writable folder, and local models are where MODEL_URI is. */
export const checkMounts: Rule = (scope) => [
  ...scope.pods.flatMap(({ containers }) =>
    containers.filter(({ ours }) => ours).flatMap((one) => checkPodMounts(one, scope)),
  ),
  ...scope.containers
    .filter(({ ours, platform }) => ours && platform === 'compose')
    .flatMap((one) => checkComposeMounts(one, scope.image)),
];

interface Mount {
  readonly path: string;
  readonly node: Node;
}

function checkPodMounts(container: Container, { built, image }: Scope): Finding[] {
  const { node, platform } = container;
  const whole = built || platform === 'cloud-run';
  const mounts = node
    .at('volumeMounts')
    .items.map((one): Mount => ({ path: one.at('mountPath').text ?? '', node: one }));
  const findings = checkPaths(mounts, container, image, whole);
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
