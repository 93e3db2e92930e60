import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import type { Rule, Scope } from '../scope.ts';

/** Rule: Cloud Build sends requests to the port that the server listens on, and deploys the service that its file describes. */
export const checkCloudBuild: Rule = (scope) =>
  scope.documents
    .filter((document) => document.at('steps').given)
    .flatMap((document) => [
      ...textsOf(document.at('steps')).flatMap((text) => checkPort(text, scope)),
      ...checkService(document.at('substitutions'), scope),
    ]);

function checkPort(text: Node, { image }: Scope): Finding[] {
  const [, port] = /^http:\/\/[\w.-]+:(\d+)/.exec(text.text ?? '') ?? [];
  if (port === undefined || Number(port) === image.port) return [];
  return [text.finding(`port ${port}, but the server listens on ${image.port}`)];
}

function checkService(substitutions: Node, { documents }: Scope): Finding[] {
  const file = substitutions.at('_SERVICE_FILE');
  const name = substitutions.at('_SERVICE');
  if (!file.given) return [];
  const service = documents.find(({ source }) => source.file === file.text);
  if (service === undefined) return [file.finding(`there is no ${file.text}`)];
  const described = service.at('metadata', 'name').text;
  if (!name.given || name.text === described) return [];
  return [name.finding(`${name.text}, but ${file.text} describes ${described}`)];
}

function textsOf(node: Node): Node[] {
  if (node.text !== undefined) return [node];
  return [...node.items, ...node.entries.map(([, one]) => one)].flatMap(textsOf);
}
