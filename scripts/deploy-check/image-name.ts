/** The image's name, without the repository it is pushed to. */
const NAME = 'ml-model';
/** What manifests call the image of target gpu, until kustomize puts a repository and a tag in its place. */
const GPU_NAME = 'ml-model-gpu';

/** An image's reference in its parts: `[repository/]name[:tag][@digest]`. */
export interface ImageReference {
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

/** Whether it is an image of Dockerfile.ml, in whatever repository. */
export function isOurs(reference: string): boolean {
  const { name } = readImageReference(reference);
  return name === NAME || name === GPU_NAME;
}

/** Whether it is the one of target gpu. */
export function isGpu({ name, tag }: ImageReference): boolean {
  return name === GPU_NAME || /(^|-)gpu$/.test(tag ?? '');
}
