import type { Finding } from '../finding.ts';
import type { Node } from '../node.ts';
import type { Rule, Scope } from '../scope.ts';

/** https://docs.cloud.google.com/build/docs/configuring-builds/substitute-variable-values */
const DEFAULTS = new Set([
  'PROJECT_ID',
  'PROJECT_NUMBER',
  'LOCATION',
  'BUILD_ID',
  'SERVICE_ACCOUNT_EMAIL',
  'SERVICE_ACCOUNT',
  'TRIGGER_NAME',
  'TRIGGER_BUILD_CONFIG_PATH',
  'COMMIT_SHA',
  'SHORT_SHA',
  'REVISION_ID',
  'REPO_NAME',
  'REPO_FULL_NAME',
  'BRANCH_NAME',
  'TAG_NAME',
  'REF_NAME',
]);

/** Cloud Build refuses a build with a substitution that nothing uses, or that is used and not there. */
export const checkCloudBuild: Rule = (scope) =>
  scope.documents.filter((document) => document.at('steps').given).flatMap((document) => checkBuild(document, scope));

function checkBuild(document: Node, { image, documents }: Scope): Finding[] {
  const declared = new Map(document.at('substitutions').entries);
  const used = new Set<string>();
  const findings: Finding[] = [];
  for (const text of textsOf(document)) {
    if (text.path[0] === 'substitutions') continue;
    for (const name of namesIn(text.text ?? '')) {
      used.add(name);
      if (!declared.has(name) && !DEFAULTS.has(name))
        findings.push(text.finding(`$${name} is not among the substitutions`));
    }
    const [, port] = /^http:\/\/[\w.-]+:(\d+)/.exec(text.text ?? '') ?? [];
    if (port !== undefined && Number(port) !== image.port)
      findings.push(text.finding(`port ${port}, but the server listens on ${image.port}`));
  }
  for (const [name, node] of declared) if (!used.has(name)) findings.push(node.finding(`nothing uses $${name}`));
  return [...findings, ...checkService(declared.get('_SERVICE'), declared.get('_SERVICE_FILE'), documents)];
}

/** The service that is deployed is the one that its file describes. */
function checkService(name: Node | undefined, file: Node | undefined, documents: readonly Node[]): Finding[] {
  if (file === undefined) return [];
  const service = documents.find(({ source }) => source.file === file.text);
  if (service === undefined) return [file.finding(`there is no ${file.text}`)];
  const described = service.at('metadata', 'name').text;
  if (name === undefined || name.text === described) return [];
  return [name.finding(`${name.text}, but ${file.text} describes ${described}`)];
}

function textsOf(node: Node): Node[] {
  if (node.text !== undefined) return [node];
  return [...node.items, ...node.entries.map(([, one]) => one)].flatMap(textsOf);
}

function namesIn(text: string): string[] {
  return Array.from(text.replaceAll('$$', '').matchAll(/\$\{?([A-Z_][A-Z0-9_]*)\}?/g), ([, name]) => name!);
}
