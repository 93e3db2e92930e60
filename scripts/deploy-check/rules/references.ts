import type { Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import { ofKind, type Rule, selects } from '../scope.ts';

/** Kinds of objects whose spec.targetRef must exist. */
const POLICIES = ['HealthCheckPolicy', 'GCPBackendPolicy', 'GCPGatewayPolicy'];

/** Rule: the objects that an object of a build names are in the build. Secrets are not: they are created by hand, and in no file. */
export const checkReferences: Rule = ({ built, documents, pods }) => {
  if (!built) return [];
  const names = new Set(documents.map((document) => document.object));
  const expect = (kind: string, name: Node): Finding[] =>
    !name.given || names.has(`${kind}/${name.text}`) ? [] : [name.finding(`there is no ${kind} ${name.text}`)];
  return [
    ...pods.flatMap((pod) => namesOfPod(pod).flatMap(([kind, name]) => expect(kind, name))),
    ...POLICIES.flatMap((kind) => ofKind(documents, 'networking.gke.io', kind))
      .map((policy) => policy.at('spec', 'targetRef'))
      .concat(
        ofKind(documents, 'autoscaling', 'HorizontalPodAutoscaler').map((one) => one.at('spec', 'scaleTargetRef')),
      )
      .flatMap((target) => expect(target.at('kind').text ?? '', target.at('name'))),
    ...ofKind(documents, 'policy', 'PodDisruptionBudget')
      .map((budget) => budget.at('spec', 'selector', 'matchLabels'))
      .filter((selector) => !pods.some(({ metadata }) => selects(selector, metadata.at('labels'))))
      .map((selector) => selector.finding('selects no pod')),
    ...ofKind(documents, 'gateway.networking.k8s.io', 'HTTPRoute')
      .flatMap((route) => route.at('spec', 'parentRefs').items)
      .flatMap((parent) => [...expect('Gateway', parent.at('name')), ...checkListener(parent, documents)]),
  ];
};

function namesOfPod({ spec, containers }: Pod): [kind: string, name: Node][] {
  const nodes = containers.map(({ node }) => node);
  const maps = [
    ...nodes.flatMap((node) => node.at('envFrom').items.map((one) => one.at('configMapRef'))),
    ...nodes.flatMap((node) => node.at('env').items.map((one) => one.at('valueFrom', 'configMapKeyRef'))),
    ...spec.at('volumes').items.map((volume) => volume.at('configMap')),
  ];
  const needed = maps.filter((map) => map.at('optional').value !== true);
  return [
    ['ServiceAccount', spec.at('serviceAccountName')],
    ...needed.map((map): [string, Node] => ['ConfigMap', map.at('name')]),
  ];
}

function checkListener(parent: Node, documents: readonly Node[]): Finding[] {
  const section = parent.at('sectionName');
  const gateway = documents.find((one) => one.object === `Gateway/${parent.at('name').text}`);
  const names = gateway?.at('spec', 'listeners').items.map((one) => one.at('name').text) ?? [];
  if (!section.given || gateway === undefined || names.includes(section.text)) return [];
  return [section.finding(`${gateway.object} has no listener ${section.text}`)];
}
