import { SETTINGS } from '../../../functions/config/settings.ts';
import type { Pod } from '../containers.ts';
import type { Finding } from '../finding.ts';
import type { Rule } from '../scope.ts';

/** The default of a revision's `timeoutSeconds`. */
const TIMEOUT_SECONDS = 300;

/** Rule: Cloud Run sends requests to our server, and its timeout is longer than that of the server. */
export const checkCloudRun: Rule = ({ pods }) =>
  pods.filter(({ platform }) => platform === 'cloud-run').flatMap(checkRevision);

function checkRevision({ spec, containers }: Pod): Finding[] {
  const findings = containers
    .filter(({ node, ours }) => node.at('ports').given && !ours)
    .map(({ node }) => node.finding('is sent the requests, but does not run our image'));
  const timeout = spec.at('timeoutSeconds');
  const seconds = timeout.number ?? TIMEOUT_SECONDS;
  for (const { env } of containers.filter(({ ours }) => ours)) {
    const set = env.find(({ name }) => name === 'REQUEST_TIMEOUT_MS')?.value;
    const own = Number(set ?? SETTINGS.REQUEST_TIMEOUT_MS.default);
    if (own > seconds * 1000)
      findings.push(timeout.finding(`${seconds} s, but the server answers a request until ${own} ms`));
  }
  return findings;
}
