import { type Container, ofKind, type Pod, type Rule, type Scope, selects } from '../containers.ts';
import type { Finding, Node } from '../yaml.ts';

const HTTPS = 443;

/** Rule: a pod that reads a bucket, or calls another server over HTTPS, is allowed to by its NetworkPolicies. */
export const checkEgress: Rule = (scope) =>
  scope.pods
    .filter(({ platform, containers }) => platform === 'kubernetes' && containers.some(({ ours }) => ours))
    .flatMap((pod) => (mayCallHttps(pod, scope) ? [] : needsOf(pod)));

/** Policies add up: what one of them allows is allowed. A pod that none of them restricts may call everything. */
function mayCallHttps({ labels }: Pod, { documents }: Scope): boolean {
  const policies = ofKind(documents, 'NetworkPolicy')
    .map((policy) => policy.at('spec'))
    .filter((spec) => selects(spec.at('podSelector', 'matchLabels'), labels))
    .filter((spec) => spec.at('policyTypes').items.some(({ text }) => text === 'Egress'));
  const ports = (rule: Node): Node[] => rule.at('ports').items.map((one) => one.at('port'));
  return (
    policies.length === 0 ||
    policies.some((spec) =>
      spec
        .at('egress')
        .items.some((rule) => ports(rule).length === 0 || ports(rule).some(({ number }) => number === HTTPS)),
    )
  );
}

/** What of a pod calls another server over HTTPS. */
function needsOf({ spec, containers }: Pod): Finding[] {
  const driver = (volume: Node): Node => volume.at('csi', 'driver');
  const nodes = [
    ...containers.filter(({ ours }) => ours).flatMap(callingSettings),
    ...spec
      .at('volumes')
      .items.map(driver)
      .filter(({ text }) => text?.startsWith('gcsfuse.')),
    ...containers.filter(({ init, ours }) => init && !ours).map(({ node }) => node.at('image')),
  ];
  return nodes.map((node) =>
    node.finding(`${node.text} calls port ${HTTPS} of another server, and no NetworkPolicy of the pod allows it`),
  );
}

function callingSettings({ env }: Container): Node[] {
  return env
    .filter(
      ({ name, value }) =>
        (name === 'MODEL_URI' && value?.startsWith('gs://')) ||
        (name === 'AUTH_ISSUER' && value !== '') ||
        (name === 'LOG_TRANSPORT' && value === 'cloud'),
    )
    .map(({ node }) => (node.at('value').given ? node.at('value') : node));
}
