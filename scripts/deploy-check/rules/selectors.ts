import { ofKind, type Pod, type Rule, selects } from '../containers.ts';
import type { Finding, Node } from '../yaml.ts';

/** The label by which releases in one namespace differ: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */
const INSTANCE = 'app.kubernetes.io/instance';

/**
 * Rule: the selector of a workload, a Service or a PodDisruptionBudget selects the pods of one workload, and every other selector
 * those of its own release. Otherwise two releases in a namespace share requests, disruption budgets and permissions.
 */
export const checkSelectors: Rule = ({ documents, pods }) => {
  const all = pods.filter(({ platform }) => platform === 'kubernetes');
  const selectedBy = (selector: Node): Pod[] => all.filter(({ labels }) => selects(selector, labels));
  const ofOneWorkload = (selector: Node): Finding[] => {
    const owners = selectedBy(selector).map(({ owner }) => owner.object);
    return owners.length > 1 ? [selector.finding(`selects the pods of ${owners.join(' and ')}, expected one`)] : [];
  };
  const ofOwnWorkload = (selector: Node, owner: Node): Finding[] => {
    if (!selector.given || selectedBy(selector).some((pod) => pod.owner === owner)) return ofOneWorkload(selector);
    return [selector.finding(`does not select the pods of ${owner.object}`)];
  };
  const ofOwnRelease = (selector: Node, object: Node): Finding[] => {
    // A policy for all pods of the namespace names no release.
    if (selector.entries.length === 0) return [];
    const own = object.at('metadata', 'labels', INSTANCE).text;
    const strangers = selectedBy(selector).filter(({ labels }) => labels.at(INSTANCE).text !== own);
    if (strangers.length === 0) return [];
    const names = strangers.map(({ owner }) => owner.object).join(' and ');
    return [selector.finding(`selects the pods of ${names}, which are not of the release ${own}`)];
  };
  return [
    ...all.flatMap(({ owner, spec }) => [
      ...ofOwnWorkload(owner.at('spec', 'selector', 'matchLabels'), owner),
      ...spec
        .at('topologySpreadConstraints')
        .items.flatMap((one) => ofOwnWorkload(one.at('labelSelector', 'matchLabels'), owner)),
    ]),
    ...ofKind(documents, 'Service')
      .map((service) => service.at('spec', 'selector'))
      .filter(({ given }) => given)
      .flatMap(ofOneWorkload),
    ...ofKind(documents, 'PodDisruptionBudget').flatMap((one) =>
      ofOneWorkload(one.at('spec', 'selector', 'matchLabels')),
    ),
    ...ofKind(documents, 'PodMonitoring').flatMap((one) =>
      ofOwnRelease(one.at('spec', 'selector', 'matchLabels'), one),
    ),
    ...ofKind(documents, 'NetworkPolicy').flatMap((policy) =>
      [policy.at('spec', 'podSelector'), ...peersOf(policy)].flatMap((selector) =>
        ofOwnRelease(selector.at('matchLabels'), policy),
      ),
    ),
  ];
};

/** The selectors of pods of the same namespace that a NetworkPolicy allows as peers. */
function peersOf(policy: Node): Node[] {
  const peers = (rules: string, direction: string): Node[] =>
    policy.at('spec', rules).items.flatMap((rule) => rule.at(direction).items);
  return [...peers('ingress', 'from'), ...peers('egress', 'to')]
    .filter((peer) => peer.at('podSelector').given && !peer.at('namespaceSelector').given)
    .map((peer) => peer.at('podSelector'));
}
