import { fillIn } from '../compose.ts';
import type { Container, Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Image } from '../image.ts';
import type { Node } from '../node.ts';
import type { Rule } from '../scope.ts';

/** Rule: our image is run as its own user, and files on volumes belong to its group. */
export const checkUser: Rule = ({ pods, containers, image }) => [
  ...pods.filter((pod) => pod.containers.some(({ ours }) => ours)).flatMap((pod) => checkPod(pod, image)),
  ...containers.filter(({ ours }) => ours).flatMap((container) => checkContainer(container, image)),
];

function checkPod({ spec }: Pod, { uid, gid }: Image): Finding[] {
  const context = spec.at('securityContext');
  return [
    ...differs(context.at('runAsUser'), uid),
    ...differs(context.at('runAsGroup'), gid),
    ...differs(context.at('fsGroup'), gid),
  ];
}

function checkContainer({ platform, node }: Container, { uid, gid }: Image): Finding[] {
  if (platform !== 'compose')
    return [
      ...differs(node.at('securityContext', 'runAsUser'), uid),
      ...differs(node.at('securityContext', 'runAsGroup'), gid),
    ];
  const user = node.at('user');
  if (!user.given || fillIn(user.text ?? '') === `${uid}:${gid}`) return [];
  return [user.finding(`user ${user.text}, but the image runs as ${uid}:${gid}`)];
}

function differs(node: Node, expected: number): Finding[] {
  if (!node.given || node.number === expected) return [];
  return [node.finding(`${node.path.at(-1)} ${node.text}, but the image has ${expected}`)];
}
