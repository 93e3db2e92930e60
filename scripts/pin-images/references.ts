/** The files that name images of others. */
export const IMAGE_FILES: readonly string[] = [
  'Dockerfile.ml',
  'cloudbuild.yaml',
  'docker-compose.ml.yml',
  'service.yaml',
  'cloud-run/*.yaml',
  'k8s/**/*.yaml',
  'scripts/cloud-build/*.sh',
  'functions/cli/init/template/*.yaml',
];

/** The images of others, without tags. */
const NAMES: readonly string[] = [
  'node',
  'redis',
  'nvidia/cuda',
  'gcr.io/distroless/nodejs24-debian13',
  'gcr.io/cloud-builders/docker',
  'gcr.io/google.com/cloudsdktool/google-cloud-cli',
  'us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/cloud-run-gmp-sidecar',
];

const PATTERNS = NAMES.map((name) => {
  const escaped = name.replaceAll('.', '\\.');
  // A name without a slash is also a word: it is an image only with a tag.
  return name.includes('/') ? `${escaped}(?::[\\w.-]+)?` : `${escaped}:[\\w.-]+`;
});
const REFERENCE = new RegExp(`(?<=[ =])(${PATTERNS.join('|')})(?:@(sha256:[0-9a-f]{64}))?(?=\\s|$)`, 'gm');

/** The reference of an image: name and tag, and its digest if it is pinned. */
interface Reference {
  readonly image: string;
  readonly digest: string | undefined;
}

/** The images of others that a deployment file names, in order; comments are left out. */
export function findImages(text: string): Reference[] {
  const code = text.replace(/^\s*#.*$/gm, '');
  return Array.from(code.matchAll(REFERENCE), ([, image, digest]) => ({ image: image!, digest }));
}

/** The text with the digests of its images, comments left as they are. @param digests by image. */
export function pinImages(text: string, digests: ReadonlyMap<string, string>): string {
  const pin = (line: string): string =>
    line.replace(REFERENCE, (found, image) => (digests.has(image) ? `${image}@${digests.get(image)}` : found));
  return text.replace(/^(?!\s*#).*$/gm, pin);
}
