import { ServingError } from '../../errors.ts';
import { printable } from './format.ts';

/** What to say for a code of the system, after the path or the address that it is about. */
const SYSTEM: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of the path is not a folder',
  EACCES: 'not allowed: check the permissions of the file and of its folders',
  EPERM: 'not allowed: check the permissions of the file and of its folders',
  EISDIR: 'expected a file, and it is a folder',
  ENOSPC: 'no space left on the disk',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  ECONNREFUSED: 'nothing listens there: is the server running, and is the port right?',
  ECONNRESET: 'the connection was closed by the other side',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host cannot be resolved at present',
  ETIMEDOUT: 'no response in time',
  EHOSTUNREACH: 'the host cannot be reached',
};

type SystemError = NodeJS.ErrnoException & {
  readonly hostname?: string;
  readonly address?: string;
  readonly port?: number;
};

/**
 * An error that a user can act on, as one line: of the server's own errors, the file system and the network.
 * @returns undefined for any other error, which is a fault of the program
 */
export function errorLine(error: unknown): string | undefined {
  if (error instanceof ServingError) return printable((error.detail ?? error.message).replaceAll(/\s*\n\s*/g, ' '));
  if (!(error instanceof Error)) return undefined;
  const system = systemErrorIn(error);
  if (system === undefined) return undefined;
  const { code = '', path, hostname, address, port } = system;
  const place = path ?? (address === undefined ? hostname : `${address}${port === undefined ? '' : `:${port}`}`);
  const said = SYSTEM[code] ?? system.message;
  return printable(place === undefined ? said : `${place}: ${said}`);
}

/** The error of the system behind an error: `fetch` has it as its cause, and one for each address it tried. */
function systemErrorIn(error: Error): SystemError | undefined {
  const { code, syscall } = error as SystemError;
  if (typeof code === 'string' && (syscall !== undefined || code in SYSTEM)) return error;
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  return inner instanceof Error && inner !== error ? systemErrorIn(inner) : undefined;
}
