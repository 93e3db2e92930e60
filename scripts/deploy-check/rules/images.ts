import { fillIn } from '../compose.ts';
import type { Finding } from '../finding.ts';
import { isGpu, isOurs, readImageReference } from '../image-name.ts';
import type { Node } from '../node.ts';
import { ofKind, type Rule, type Scope } from '../scope.ts';

/** Images of others that are used, without their tags, and their purpose. */
export const OTHERS: Readonly<Record<string, string>> = {
  redis: 'caches the bytes of models',
  'google/cloud-sdk': 'copies a model to a volume',
  'gcr.io/google.com/cloudsdktool/google-cloud-cli': 'copies a model to a volume',
  'us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/cloud-run-gmp-sidecar':
    'collects metrics on Cloud Run',
};

/** Rule: our image has one name and one repository, and images of others are in the list above. */
export const checkImages: Rule = (scope) => [
  ...scope.containers.flatMap(({ node, ours }) => (node.at('image').given ? checkImage(node, ours, scope) : [])),
  ...scope.containers.flatMap(({ node }) => checkTarget(node.at('build', 'target'), scope)),
  ...checkPushed(scope),
  ...checkRepositories(scope),
  ...ofKind(scope.documents, 'kustomize.config.k8s.io', 'Kustomization').flatMap((one) => checkReplaced(one, scope)),
  ...ofKind(scope.documents, 'kustomize.config.k8s.io', 'Component').flatMap((one) => checkReplaced(one, scope)),
];

function checkImage(container: Node, ours: boolean, { deployed }: Scope): Finding[] {
  const node = container.at('image');
  const text = fillIn(node.text ?? '') ?? '';
  const { repository, name, tag, digest } = readImageReference(text);
  if (ours) {
    const gpu = container.at('resources', 'limits', 'nvidia.com/gpu').given;
    if (deployed && tag === undefined && digest === undefined) return [node.finding(`${text} has no tag`)];
    if (isGpu(readImageReference(text)) === gpu) return [];
    return [
      node.finding(
        gpu ? `${text}, but a GPU takes the image of target gpu` : `${text} is for a GPU, and there is none`,
      ),
    ];
  }
  const whole = repository === '' ? name : `${repository}/${name}`;
  if (Object.hasOwn(OTHERS, whole)) return [];
  return [node.finding(`${whole} is neither ours nor one of ${Object.keys(OTHERS).join(', ')}`)];
}

/** Checks that docker-compose builds an image of the Dockerfile. */
function checkTarget(target: Node, { image }: Scope): Finding[] {
  const names = image.stages.map(({ name }) => name);
  if (!target.given || names.includes(target.text ?? '')) return [];
  return [target.finding(`${target.text} is no image of the Dockerfile: it has ${names.join(', ')}`)];
}

/** Checks that Cloud Build's result, and the replacement of our image by kustomize, are our image. */
function checkPushed({ documents }: Scope): Finding[] {
  return documents
    .flatMap((document) => document.at('images').items)
    .flatMap((one) => [one, one.at('newName')])
    .filter(({ text }) => text !== undefined && !isOurs(substitute(text, documents)))
    .map((node) => node.finding(`${substitute(node.text ?? '', documents)} is no image of the Dockerfile`));
}

/** All references of our image: of containers, Cloud Build's pushes, and kustomize's replacements. */
function referencesOf({ containers, documents }: Scope): { node: Node; text: string }[] {
  const images = containers.filter(({ ours }) => ours).map(({ node }) => node.at('image'));
  const named = documents.flatMap((document) => [
    ...document.at('images').items.flatMap((one) => [one, one.at('newName')]),
    ...document.at('steps').items.flatMap((step) => [...step.at('args').items, ...step.at('env').items]),
  ]);
  return [...images, ...named]
    .map((node) => ({ node, text: substitute(node.text ?? '', documents).replace(/^\w+=/, '') }))
    .filter(({ text }) => isOurs(text));
}

/**
 * Replaces Cloud Build's substitutions by their defaults. Region and project differ for each user: in service.yaml and the overlays
 * they are REGION and PROJECT_ID.
 */
function substitute(text: string, documents: readonly Node[]): string {
  const defaults = new Map(documents.flatMap((document) => document.at('substitutions').entries));
  return text.replaceAll(/\$\{?(\w+)\}?/g, (_, name) =>
    name === '_REGION' ? 'REGION' : (defaults.get(name)?.text ?? name),
  );
}

/** A repository with placeholders: one overlay may be filled in without the other files. */
const isOpen = (repository: string): boolean => /\b(REGION|PROJECT_ID)\b/.test(repository);

/** Checks that all repositories without placeholders are the same. A reference without a repository is a local image. */
function checkRepositories(scope: Scope): Finding[] {
  let first: { repository: string; node: Node } | undefined;
  return referencesOf(scope).flatMap(({ node, text }) => {
    const { repository } = readImageReference(text);
    if (repository === '' || isOpen(repository)) return [];
    first ??= { repository, node };
    if (repository === first.repository) return [];
    return [node.finding(`repository ${repository}, but ${first.node.source.file} has ${first.repository}`)];
  });
}

/** Finds replacements of images that no container has: kustomize does not report them. */
function checkReplaced(document: Node, { containers }: Scope): Finding[] {
  const names = new Set(
    containers
      .map(({ node }) => readImageReference(node.at('image').text ?? ''))
      .map(({ repository, name }) => (repository === '' ? name : `${repository}/${name}`)),
  );
  return document
    .at('images')
    .items.map((image) => image.at('name'))
    .filter((name) => !names.has(name.text ?? ''))
    .map((name) => name.finding(`no container has the image ${name.text}, which is to be replaced`));
}
