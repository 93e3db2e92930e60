import { SETTINGS } from '../../../functions/config/settings.ts';
import type { Rule } from '../containers.ts';

/** The default of a revision's `timeoutSeconds`. */
const TIMEOUT_SECONDS = 300;

/** Rule: Cloud Run sends requests to our server, its timeout is not shorter than the server's, and Cloud Build deploys a file that exists. */
export const checkCloudRun: Rule = ({ pods, documents }) => [
  ...pods
    .filter(({ platform }) => platform === 'cloud-run')
    .flatMap(({ spec, containers }) => {
      const timeout = spec.at('timeoutSeconds');
      const seconds = timeout.number ?? TIMEOUT_SECONDS;
      return containers.flatMap(({ node, ours, env }) => {
        if (!ours)
          return node.at('ports').given ? [node.finding('is sent the requests, but does not run our image')] : [];
        const set = env.find(({ name }) => name === 'REQUEST_TIMEOUT_MS')?.value;
        const own = Number(set ?? SETTINGS.REQUEST_TIMEOUT_MS.default);
        if (own <= seconds * 1000) return [];
        return [timeout.finding(`${seconds} s, but the server's own limit for a request is ${own} ms`)];
      });
    }),
  ...documents
    .map((document) => document.at('substitutions', '_SERVICE_FILE'))
    .filter((file) => file.given && !documents.some(({ source }) => source.file === file.text))
    .map((file) => file.finding(`there is no ${file.text}`)),
];
