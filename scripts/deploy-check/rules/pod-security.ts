import type { Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import type { Rule } from '../scope.ts';

const VOLUMES = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);
const SECCOMP = new Set(['RuntimeDefault', 'Localhost']);

/**
 * The "restricted" pod security standard, its controls for Linux, over all containers of a pod:
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export const checkPodSecurity: Rule = ({ pods, built }) =>
  built ? pods.filter(({ platform }) => platform === 'kubernetes').flatMap(checkPod) : [];

function checkPod({ spec, containers }: Pod): Finding[] {
  const context = spec.at('securityContext');
  const findings: Finding[] = [];
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) {
    if (spec.at(name).value === true) findings.push(spec.at(name).finding('expected false'));
  }
  for (const volume of spec.at('volumes').items) {
    for (const [type, node] of volume.entries) {
      if (type !== 'name' && !VOLUMES.has(type)) findings.push(node.finding(`volumes of type ${type} are not allowed`));
    }
  }
  findings.push(...checkUserOf(context), ...checkOptions(context));
  if (context.at('sysctls').items.length > 0) findings.push(context.at('sysctls').finding('expected none'));
  const all = [...containers.map(({ node }) => node), ...spec.at('ephemeralContainers').items];
  return [...findings, ...all.flatMap((node) => checkContainer(node, context))];
}

function checkContainer(node: Node, pod: Node): Finding[] {
  const context = node.at('securityContext');
  const findings: Finding[] = [...checkUserOf(context), ...checkOptions(context)];
  if (context.at('privileged').value === true) findings.push(context.at('privileged').finding('expected false'));
  if (context.at('allowPrivilegeEscalation').value !== false)
    findings.push(context.at('allowPrivilegeEscalation').finding('expected false'));
  if ((context.at('runAsNonRoot').value ?? pod.at('runAsNonRoot').value) !== true)
    findings.push(context.at('runAsNonRoot').finding('expected true, here or on the pod'));
  if (!SECCOMP.has(context.at('seccompProfile', 'type').text ?? pod.at('seccompProfile', 'type').text ?? ''))
    findings.push(context.at('seccompProfile').finding('expected type RuntimeDefault, here or on the pod'));
  if (!context.at('capabilities', 'drop').items.some(({ text }) => text === 'ALL'))
    findings.push(context.at('capabilities', 'drop').finding('expected [ALL]'));
  for (const added of context.at('capabilities', 'add').items) {
    if (added.text !== 'NET_BIND_SERVICE') findings.push(added.finding(`capability ${added.text} is not allowed`));
  }
  if ((context.at('procMount').text ?? 'Default') !== 'Default')
    findings.push(context.at('procMount').finding('expected Default'));
  for (const port of node.at('ports').items) {
    if ((port.at('hostPort').number ?? 0) !== 0)
      findings.push(port.at('hostPort').finding('ports of the node are not allowed'));
  }
  return findings;
}

function checkUserOf(context: Node): Finding[] {
  return context.at('runAsUser').number === 0
    ? [context.at('runAsUser').finding('expected a user that is not root')]
    : [];
}

function checkOptions(context: Node): Finding[] {
  const findings: Finding[] = [];
  const profile = context.at('appArmorProfile', 'type');
  if (profile.text === 'Unconfined') findings.push(profile.finding('expected RuntimeDefault or Localhost'));
  for (const name of ['user', 'role']) {
    const option = context.at('seLinuxOptions', name);
    if ((option.text ?? '') !== '') findings.push(option.finding('expected none'));
  }
  return findings;
}
