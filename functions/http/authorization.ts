import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { ServingError } from '../errors.ts';
import type { RequestContext } from './request-context.ts';
import type { Route } from './router.ts';

/** @throws ServingError `FORBIDDEN` when the server has no token; `UNAUTHORIZED` when the request does not have that token. */
type AdminCheck = (req: Pick<IncomingMessage, 'headers'>) => void;

/**
 * Checks that a request has the admin token as `Authorization: Bearer …` (RFC 6750, 2.1).
 * @param file the file with the token; whitespace around it is ignored. It is read for each request, so that replacing it revokes
 * the old token. Undefined: every request is refused.
 */
export function createAdminCheck(file: string | undefined): AdminCheck {
  return ({ headers }) => {
    if (file === undefined) {
      throw new ServingError('FORBIDDEN', 'not allowed: ADMIN_TOKEN_FILE is not set');
    }
    const given = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (given === undefined) {
      throw new ServingError('UNAUTHORIZED', 'send Authorization: Bearer with the token in ADMIN_TOKEN_FILE');
    }
    const token = readToken(file);
    // timingSafeEqual takes inputs of equal length, which digests have: so the time does not depend on the token.
    if (timingSafeEqual(digest(given), digest(token))) return;
    throw new ServingError('UNAUTHORIZED', 'the bearer token is not the one in ADMIN_TOKEN_FILE');
  };
}

/**
 * Makes the `authorize` of the router: a route with `admin` needs the token, other routes need none.
 * @param file as for `createAdminCheck`.
 */
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
