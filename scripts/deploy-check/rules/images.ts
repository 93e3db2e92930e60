import { fillIn } from '../compose.ts';
import type { Finding } from '../finding.ts';
import { isGpu, isOurs, readImageReference } from '../image-name.ts';
import type { Node } from '../node.ts';
import { ofKind, type Rule, type Scope } from '../scope.ts';

/** Images of others that are run beside ours, without their tags, and what for. */
export const OTHERS: Readonly<Record<string, string>> = {
  redis: 'keeps the bytes of models',
  'google/cloud-sdk': 'copies a model to a volume',
  'gcr.io/google.com/cloudsdktool/google-cloud-cli': 'copies a model to a volume',
  'us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/cloud-run-gmp-sidecar':
    'collects metrics on Cloud Run',
};

/** One name and one repository of our image, and others only where it is said what for. */
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

/** docker-compose builds an image of the Dockerfile. */
function checkTarget(target: Node, { image }: Scope): Finding[] {
  const names = image.stages.map(({ name }) => name);
  if (!target.given || names.includes(target.text ?? '')) return [];
  return [target.finding(`${target.text} is no image of the Dockerfile: it has ${names.join(', ')}`)];
}

/** Cloud Build's result, and what kustomize puts in the place of ours, is our image. */
function checkPushed({ documents }: Scope): Finding[] {
  return documents
    .flatMap((document) => document.at('images').items)
    .flatMap((one) => [one, one.at('newName')])
    .filter(({ text }) => text !== undefined && !isOurs(substitute(text, documents)))
    .map((node) => node.finding(`${substitute(node.text ?? '', documents)} is no image of the Dockerfile`));
}

/** Everything that names our image: containers, what Cloud Build pushes, what kustomize puts in its place. */
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
 * Cloud Build's substitutions by their defaults. Region and project are each user's own: service.yaml and the overlays name
 * them REGION and PROJECT_ID.
 */
function substitute(text: string, documents: readonly Node[]): string {
  const defaults = new Map(documents.flatMap((document) => document.at('substitutions').entries));
  return text.replaceAll(/\$\{?(\w+)\}?/g, (_, name) =>
    name === '_REGION' ? 'REGION' : (defaults.get(name)?.text ?? name),
  );
}

/** A repository with the placeholders of these files: one overlay can be filled in without all other files. */
const isOpen = (repository: string): boolean => /\b(REGION|PROJECT_ID)\b/.test(repository);

/** A reference without a repository is a local image; of those with one that is filled in, all have the same. */
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

/** kustomize says nothing of an image to replace that nothing has. */
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
