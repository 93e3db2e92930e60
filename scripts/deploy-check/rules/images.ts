import { ofKind, type Pod, type Rule, type Scope } from '../containers.ts';
import { isGpu, isOurs, readReference } from '../image.ts';
import type { Finding, Node } from '../yaml.ts';

/** Images of others that are used, without their tags, and their purpose. */
export const OTHERS: Readonly<Record<string, string>> = {
  redis: 'caches the bytes of models',
  'gcr.io/google.com/cloudsdktool/google-cloud-cli': 'copies a model to a volume',
  'us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/cloud-run-gmp-sidecar':
    'collects metrics on Cloud Run',
};

/** The label for the version of what a pod runs. */
const VERSION = 'app.kubernetes.io/version';

/**
 * Rule: every image is ours or in the list above; a GPU has the image of target gpu; overlays set a tag, and a label that says it
 * says the same.
 */
export const checkImages: Rule = (scope) => [
  ...scope.containers.filter(({ node }) => node.at('image').given).flatMap(({ node }) => checkImage(node, scope)),
  // kustomize does not report a replacement of an image that no container has.
  ...ofKind(scope.documents, 'Kustomization')
    .flatMap((one) => one.at('images').items)
    .flatMap((one) => [one.at('name'), one.at('newName')])
    .filter((name) => name.given && !isKnown(name.text ?? ''))
    .map(unknown),
  ...scope.pods.flatMap(checkVersion),
];

/** The image of target gpu has a tag that ends with -gpu. A digest says nothing of a version. */
function checkVersion({ labels, containers }: Pod): Finding[] {
  const label = labels.at(VERSION);
  if (!label.given) return [];
  return containers
    .filter(({ ours, init }) => ours && !init)
    .map(({ node }) => node.at('image').text ?? '')
    .filter((text) => !text.includes('@') && readReference(text).version?.replace(/-gpu$/, '') !== label.text)
    .map((text) => label.finding(`${VERSION} is ${label.text}, and the image is ${text}`));
}

function checkImage(container: Node, { deployed }: Scope): Finding[] {
  const image = container.at('image');
  const text = image.text ?? '';
  if (!isKnown(text)) return [unknown(image)];
  if (!isOurs(text)) return [];
  const gpu = container.at('resources', 'limits', 'nvidia.com/gpu').given;
  if (deployed && readReference(text).version === undefined) return [image.finding(`${text} has no tag`)];
  if (isGpu(text) === gpu) return [];
  return [image.finding(`${text}, but ${gpu ? 'a GPU needs the image of target gpu' : 'the container has no GPU'}`)];
}

function isKnown(text: string): boolean {
  return isOurs(text) || text.includes('$') || Object.hasOwn(OTHERS, text.replace(/[:@][^/]*$/, ''));
}

const unknown = (image: Node): Finding =>
  image.finding(`${image.text} is neither ours nor one of ${Object.keys(OTHERS).join(', ')}`);
