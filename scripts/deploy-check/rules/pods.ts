import { posix } from 'node:path';
import type { Container, Rule } from '../containers.ts';
import type { Image } from '../image.ts';
import type { Finding } from '../yaml.ts';

/**
 * Rule: a pod of our image runs as the image's user; it has a memory limit, by which the server sizes its engines and models; volumes
 * do not hide the image's programs; there is a writable folder; and a local MODEL_URI is in the image or on a volume.
 */
export const checkPods: Rule = ({ pods, image }) =>
  pods.flatMap(({ spec, containers }) => {
    const ours = containers.filter((one) => one.ours);
    const contexts = [...(ours.length > 0 ? [spec] : []), ...ours.map(({ node }) => node)];
    return [
      ...contexts.flatMap((node) =>
        Object.entries({ runAsUser: image.uid, runAsGroup: image.gid, fsGroup: image.gid }).flatMap(([key, id]) => {
          const given = node.at('securityContext', key);
          if (!given.given || given.number === id) return [];
          return [given.finding(`${key} ${given.text}, but the image has ${id}`)];
        }),
      ),
      ...ours.flatMap((container) => [...checkMemory(container), ...checkMounts(container, image)]),
    ];
  });

function checkMemory({ node, init }: Container): Finding[] {
  const limits = node.at('resources', 'limits');
  if (init || limits.at('memory').given) return [];
  return [limits.finding('no memory limit: the server sizes its engines and models by it')];
}

function checkMounts({ node, env }: Container, { workdir }: Image): Finding[] {
  const programs = [posix.join(workdir, 'dist'), posix.join(workdir, 'node_modules'), '/nodejs'];
  const mounts = node.at('volumeMounts').items.map((one) => ({ path: one.at('mountPath').text ?? '', one }));
  const findings = mounts
    .filter(({ path }) => programs.some((program) => isInside(program, path)))
    .map(({ path, one }) => one.finding(`mounted at ${path}, over what the image runs`));
  const readOnly = node.at('securityContext', 'readOnlyRootFilesystem');
  if (readOnly.value === true && !mounts.some(({ path }) => isInside('/tmp', path)))
    findings.push(readOnly.finding('the root is read-only and nothing is mounted at /tmp, where the server writes'));
  const uri = env.find(({ name }) => name === 'MODEL_URI');
  const path = uri?.value?.replace(/^file:\/\//, '') ?? '';
  if (path.startsWith('/') && ![...mounts.map((one) => one.path), workdir].some((folder) => isInside(path, folder)))
    findings.push(uri!.node.finding(`MODEL_URI=${uri!.value}, but no volume is mounted there`));
  return findings;
}

function isInside(path: string, folder: string): boolean {
  return folder !== '' && !posix.relative(folder, path).startsWith('..');
}
