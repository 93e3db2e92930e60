import { ofKind, type Rule } from '../containers.ts';
import type { Finding, Node } from '../yaml.ts';

/** Rule: the objects that an object names are among the others, a Gateway also among those of other releases. Secrets are not: they are created by hand, and in no file. */
export const checkReferences: Rule = ({ documents, pods, others }) => {
  const find = (kind: string, name: Node) =>
    (kind === 'Gateway' ? [...documents, ...others] : documents).find((one) => one.object === `${kind}/${name.text}`);
  const expect = (kind: string, name: Node): Finding[] =>
    !name.given || find(kind, name) ? [] : [name.finding(`there is no ${kind} ${name.text}`)];
  /** Names that ports or listeners of the named object do not have. */
  const among = (part: Node, owner: Node | undefined, list: string, key: string): Finding[] => {
    const known = owner?.at('spec', list).items.map((one) => one.at(key).text);
    if (!part.given || known === undefined || known.includes(part.text)) return [];
    return [part.finding(`${owner!.object} has no ${key} ${part.text} among its ${list}: ${known.join(', ')}`)];
  };
  const routes = ofKind(documents, 'HTTPRoute').map((route) => route.at('spec'));
  return [
    ...pods
      .filter(({ platform }) => platform === 'kubernetes')
      .flatMap(({ spec, containers }) => [
        ...expect('ServiceAccount', spec.at('serviceAccountName')),
        ...[
          ...containers.flatMap(({ node }) => node.at('envFrom').items.map((one) => one.at('configMapRef'))),
          ...containers.flatMap(({ node }) =>
            node.at('env').items.map((one) => one.at('valueFrom', 'configMapKeyRef')),
          ),
          ...spec.at('volumes').items.map((volume) => volume.at('configMap')),
        ]
          .filter((map) => map.at('optional').value !== true)
          .flatMap((map) => expect('ConfigMap', map.at('name'))),
      ]),
    ...documents
      .flatMap((object) => [object.at('spec', 'targetRef'), object.at('spec', 'scaleTargetRef')])
      .flatMap((target) => expect(target.at('kind').text ?? '', target.at('name'))),
    ...routes
      .flatMap((spec) => spec.at('parentRefs').items)
      .flatMap((one) => [
        ...expect('Gateway', one.at('name')),
        ...among(one.at('sectionName'), find('Gateway', one.at('name')), 'listeners', 'name'),
      ]),
    ...routes
      .flatMap((spec) => spec.at('rules').items)
      .flatMap((rule) => rule.at('backendRefs').items)
      .flatMap((one) => [
        ...expect('Service', one.at('name')),
        ...among(one.at('port'), find('Service', one.at('name')), 'ports', 'port'),
      ]),
  ];
};
