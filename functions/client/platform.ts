/** What of these platforms tells them apart. */
interface Platform {
  readonly Deno?: unknown;
  readonly process?: { readonly versions?: { readonly node?: string; readonly bun?: string } };
}

/**
 * Whether `fetch` gives the answer while the body is still sent. The standard asks for the opposite (whatwg/fetch issue 1254), and
 * browsers and Bun do that; Node and Deno send and read at once.
 */
export function sendsWhileItReads(platform: Platform = globalThis as Platform): boolean {
  if (platform.Deno !== undefined) return true;
  const versions = platform.process?.versions;
  return versions?.node !== undefined && versions.bun === undefined;
}
