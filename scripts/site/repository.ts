/** For a copy that says nowhere where its repository is. */
const PLACEHOLDER = 'https://github.com/OWNER/onnx-cloud-run';

/**
 * The address of the repository on GitHub, without a slash at its end: that of the workflow that runs, so that a fork refers to
 * itself, else that of package.json.
 */
export function repositoryUrl(
  env: Readonly<Record<string, string | undefined>>,
  project: { readonly repository?: string | { readonly url: string } },
): string {
  if (env.GITHUB_REPOSITORY) return `${env.GITHUB_SERVER_URL ?? 'https://github.com'}/${env.GITHUB_REPOSITORY}`;
  const { repository } = project;
  const url = typeof repository === 'string' ? repository : repository?.url;
  if (url === undefined) return PLACEHOLDER;
  return url.replace(/^git\+|\.git$|\/$/g, '').replace(/^github:/, 'https://github.com/');
}
