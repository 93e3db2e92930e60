import { ofKind, type Rule } from '../containers.ts';
import type { Finding, Node } from '../yaml.ts';

/** Something of a cluster that only one object may have: a name, an address, requests to a path. */
interface Claim {
  readonly node: Node;
  readonly what: string;
}

/**
 * Rule for the releases of one namespace together: their objects have different names, their Gateways different addresses, and no
 * request matches the routes of two.
 */
export const checkReleases: Rule = ({ documents }) => [
  ...claimedTwice(
    // Releases share the namespace itself.
    documents.filter((object) => object.at('kind').text !== 'Namespace').map(claimName),
    (other) => `is also in ${other.source.file}: the release that is applied last replaces it`,
  ),
  ...claimedTwice(
    ofKind(documents, 'Gateway').flatMap((gateway) => gateway.at('spec', 'addresses').items.map(claimAddress)),
    (other) => `is also the address of ${other.object} of ${other.source.file}`,
  ),
  ...claimedTwice(
    ofKind(documents, 'HTTPRoute').flatMap(claimRequests),
    (other) => `matches the same requests as ${other.object} of ${other.source.file}: set other hostnames`,
  ),
];

function claimedTwice(claims: readonly Claim[], problem: (other: Node) => string): Finding[] {
  const first = new Map<string, Node>();
  return claims.flatMap(({ node, what }) => {
    const other = first.get(what) ?? node;
    first.set(what, other);
    // An object may repeat itself: two of its rules for one path.
    return other.object === node.object && other.source === node.source ? [] : [node.finding(problem(other))];
  });
}

function claimName(object: Node): Claim {
  const parts = [object.at('apiVersion').text?.replace(/\/?[^/]*$/, ''), object.object];
  return { node: object, what: [...parts, object.at('metadata', 'namespace').text].join(' ') };
}

function claimAddress(address: Node): Claim {
  return { node: address.at('value'), what: `${address.at('type').text} ${address.at('value').text}` };
}

/** A claim for each listener, host name and path: https://gateway-api.sigs.k8s.io/reference/spec/#httproute */
function claimRequests(route: Node): Claim[] {
  const listeners = route
    .at('spec', 'parentRefs')
    .items.map((one) => `${one.at('name').text} ${one.at('sectionName').text}`);
  const hostnames = route.at('spec', 'hostnames');
  const hosts = hostnames.items.length === 0 ? ['*'] : hostnames.items.map(({ text }) => text);
  const rules = route.at('spec', 'rules').items;
  // A rule without matches matches every request.
  const paths = rules.flatMap((rule) => (rule.at('matches').given ? rule.at('matches').items : [rule]));
  return listeners.flatMap((listener) =>
    hosts.flatMap((host) =>
      paths.map((match) => {
        const path = match.at('path');
        return {
          node: hostnames,
          what: [listener, host, path.at('type').text, path.at('value').text ?? '/'].join(' '),
        };
      }),
    ),
  );
}
