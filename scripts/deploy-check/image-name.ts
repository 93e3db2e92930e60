/** The image's name, without its repository. */
const NAME = 'ml-model';
/** The name of the image of target gpu in manifests, which kustomize replaces by one with a repository and a tag. */
const GPU_NAME = 'ml-model-gpu';

/** The parts of an image's reference: `[repository/]name[:tag][@digest]`. */
interface ImageReference {
  /** With the host, and without the name. */
  readonly repository: string;
  readonly name: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

export function readImageReference(text: string): ImageReference {
  const [front = '', digest] = text.split('@');
  const slash = front.lastIndexOf('/');
  const [name = '', tag] = front.slice(slash + 1).split(':');
  return { repository: front.slice(0, Math.max(slash, 0)), name, tag, digest };
}

/** Whether it is an image of Dockerfile.ml, in any repository. */
export function isOurs(reference: string): boolean {
  const { name } = readImageReference(reference);
  return name === NAME || name === GPU_NAME;
}

/** Whether it is the image of target gpu. */
export function isGpu({ name, tag }: ImageReference): boolean {
  return name === GPU_NAME || /(^|-)gpu$/.test(tag ?? '');
}
