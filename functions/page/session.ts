const KEY = 'onnx-cloud-run.token';

/** Storage may be forbidden: the token is in memory alone then. */
function stored(): string {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

let token = stored();

/** The bearer token of this tab; empty if there is none. It is kept until the tab is closed, and is never in a link. */
export const tokenNow = (): string => token;

/** Sets the token, or removes it if it is empty. */
export function setToken(next: string): void {
  token = next;
  try {
    if (next === '') sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, next);
  } catch {}
}

/** The header fields that authenticate a request (RFC 6750). */
export const credentials = (): Record<string, string> => (token === '' ? {} : { Authorization: `Bearer ${token}` });
