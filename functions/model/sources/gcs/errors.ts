import { SourceError } from '../source.ts';

/** A request to the service, for messages. */
export interface Attempted {
  readonly action: 'list' | 'read';
  /** The start of the message: the `gs://` URI. */
  readonly place: string;
  readonly bucket: string;
}

/** The error of the service, of its client or of the network. */
interface Refusal {
  /** The status of the response; undefined if there was none. */
  readonly status: number | undefined;
  /** The body of the response, as text of any length or the JSON of an error; or the message of an error. */
  readonly text: string;
  readonly retryAfter?: string | undefined;
  readonly cause?: unknown;
}

interface Thrown {
  readonly message?: string;
  readonly code?: unknown;
  readonly status?: unknown;
  readonly errors?: unknown;
  readonly response?: { readonly headers?: unknown };
  readonly config?: unknown;
}

const NO_DEFAULT_CREDENTIALS = /could not load the default credentials/i;
const NO_CREDENTIALS = /could not load the default credentials|anonymous caller/i;
const BAD_CREDENTIALS = /unable to read the credential file|access token|invalid_grant|invalid_client|invalid_rapt/i;
/** The API gives 403 for some limits too. */
const LIMITS = /rateLimitExceeded|quotaExceeded/i;

/** The SourceError for a failed request: its message says what the operator has to do, its fault whether to try again. */
export function explain({ action, place, bucket }: Attempted, refusal: Refusal): SourceError {
  const { status, text, retryAfter, cause } = refusal;
  const said = firstLine(text);
  const given = status === undefined ? said : `${status} ${said}`.trim();
  const refused = (what: string): SourceError => new SourceError('refused', `${place}: ${what}`, { cause });
  if (NO_CREDENTIALS.test(text))
    return refused(
      `no credentials: on Cloud Run and GKE run as a service account with roles/storage.objectViewer on gs://${bucket}, ` +
        'elsewhere run `gcloud auth application-default login`',
    );
  if (BAD_CREDENTIALS.test(text) && (status === undefined || status < 500))
    return refused(`the server's own credentials give no access token (${given}): check its service account`);
  if (status === undefined || status === 408 || status === 429 || status >= 500 || LIMITS.test(text)) {
    const waitSeconds = readWait(retryAfter);
    return new SourceError('transient', `${place}: ${given}`, {
      cause,
      ...(waitSeconds !== undefined && { waitSeconds }),
    });
  }
  if (status === 401)
    return refused(`the credentials were not accepted (${given}): check the service account that the server runs as`);
  if (status === 403)
    return refused(
      `not allowed (${given}): this takes storage.objects.${action === 'list' ? 'list' : 'get'}; give the service account ` +
        `that the server runs as the role roles/storage.objectViewer on gs://${bucket}`,
    );
  if (action === 'read' && (status === 404 || status === 412))
    return new SourceError('changed', `${place}: replaced or removed since it was listed`, { cause });
  if (status === 404) return refused(`there is no bucket ${bucket}: check the name`);
  return refused(`refused: ${given}`);
}

/** Whether an error of Google's client means that it found no credentials. */
export function isWithoutCredentials(error: unknown): boolean {
  return NO_DEFAULT_CREDENTIALS.test((error as Error).message);
}

/** The SourceError for an error that Google's client or Node threw. */
export function explainThrown(attempted: Attempted, error: unknown): SourceError {
  const thrown = error as Thrown;
  const status = [thrown.code, thrown.status].map(Number).find((number) => number >= 100 && number < 600);
  const retryAfter = readHeader(thrown.response?.headers, 'retry-after');
  const reasons = JSON.stringify(thrown.errors ?? '');
  // If all addresses of a host refuse the connection, Node's error has a code and no message.
  const message = thrown.message || String(thrown.code ?? error);
  const text = LIMITS.test(reasons) ? `${message} (rateLimitExceeded)` : message;
  // Such an error has the request's headers with the access token, which the log of causes would show.
  const holdsRequest = thrown.response !== undefined || thrown.config !== undefined;
  return explain(attempted, { status, text, retryAfter, cause: holdsRequest ? undefined : error });
}

function readHeader(headers: unknown, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  return (headers as Record<string, string> | undefined)?.[name];
}

/** The first line of the service's message, from its JSON if it is JSON; or the reason of a failed request without its long URL. */
function firstLine(text: string): string {
  const inJson = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  const reason = /^request to \S+ failed, reason: (.*)/s.exec(text)?.[1];
  return (inJson ?? reason ?? text)
    .trim()
    .split(/\n|\\n/, 1)[0]!
    .slice(0, 200);
}

/** The seconds of a Retry-After header, which has a number of them or a date (RFC 9110, section 10.2.3). */
function readWait(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined;
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1_000;
  return seconds >= 0 ? seconds : undefined;
}
