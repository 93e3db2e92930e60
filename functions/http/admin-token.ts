import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { ServingError } from '../errors.ts';
import type { RequestContext } from './request-context.ts';
import type { Route } from './router.ts';

/** @throws ServingError `FORBIDDEN` where no token is set; `UNAUTHORIZED` without the right token. */
export type AdminCheck = (req: Pick<IncomingMessage, 'headers'>) => void;

/**
 * Accepts requests that have the token as `Authorization: Bearer …` (RFC 6750, 2.1).
 * @param file holds the token, with blanks around it or not. It is read anew each time: a token that was replaced is no longer
 * accepted. Undefined: no request is.
 */
export function createAdminCheck(file: string | undefined): AdminCheck {
  return ({ headers }) => {
    if (file === undefined) {
      throw new ServingError('FORBIDDEN', 'not allowed: ADMIN_TOKEN_FILE is not set');
    }
    const given = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (given === undefined) {
      throw new ServingError('UNAUTHORIZED', 'send Authorization: Bearer and the token of ADMIN_TOKEN_FILE');
    }
    const token = readToken(file);
    // Digests are of one length, whatever was sent: the time tells nothing of the token.
    if (timingSafeEqual(digest(given), digest(token))) return;
    throw new ServingError('UNAUTHORIZED', 'the bearer token is not that of ADMIN_TOKEN_FILE');
  };
}

/** Authorizes requests for the router: those to a route with `admin` need the token, all others nothing. */
export function createAuthorization(file: string | undefined): (context: RequestContext, route: Route) => void {
  const check = createAdminCheck(file);
  return ({ req }, { admin }) => {
    if (admin === true) check(req);
  };
}

function readToken(file: string): string {
  let token = '';
  let cause: unknown;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (error) {
    cause = error;
  }
  if (token !== '') return token;
  throw new ServingError('FORBIDDEN', 'not allowed: ADMIN_TOKEN_FILE is empty or cannot be read', {
    cause,
  });
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
