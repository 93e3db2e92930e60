import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { Authenticate } from '../access/access.ts';
import { ADMIN, ANONYMOUS, type Caller, type IsMain, mayUse, mayUseMain } from '../access/caller.ts';
import { insufficientScope, invalidToken, noCredentials } from '../access/challenge.ts';
import { isOpened, type OpenRoute } from '../access/open-routes.ts';
import { ServingError } from '../errors.ts';
import { unknownModel } from '../model/folder/layout.ts';
import { startRequest } from './quota.ts';
import type { RequestContext } from './request-context.ts';
import type { Route } from './router.ts';

/** @throws ServingError `FORBIDDEN` when the server has no token; `UNAUTHORIZED` when the request does not have that token. */
type AdminCheck = (req: Pick<IncomingMessage, 'headers'>) => void;

/** How callers of routes without `admin` are authenticated, and which models they may use. */
export interface CallerRules {
  readonly authenticate: Authenticate;
  /** Routes that need no authentication. */
  readonly open: readonly OpenRoute[];
  readonly isMain: IsMain;
  /** Settles when the model behind `/predict` is loaded, and all its names are known. @throws ServingError `NOT_READY` */
  readonly whenMainIsKnown: () => Promise<unknown>;
}

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
    if (given === undefined) throw noCredentials('send Authorization: Bearer with the token in ADMIN_TOKEN_FILE');
    const token = readToken(file);
    // timingSafeEqual takes inputs of equal length, which digests have: so the time does not depend on the token.
    if (timingSafeEqual(digest(given), digest(token))) return;
    throw invalidToken('the bearer token is not the one in ADMIN_TOKEN_FILE');
  };
}

/**
 * Makes the `authorize` of the router: a route with `admin` needs the admin token, an open one nothing, and any other a caller that
 * may use it.
 * @param file as for `createAdminCheck`.
 * @param rules undefined: routes without `admin` need no authentication.
 */
export function createAuthorization(
  file: string | undefined,
  rules?: CallerRules,
): (context: RequestContext, route: Route) => void | Promise<void> {
  const check = createAdminCheck(file);
  if (rules === undefined) {
    return ({ req }, { admin }) => {
      if (admin === true) check(req);
    };
  }
  const { authenticate } = rules;

  function permit(context: RequestContext, route: Route, caller: Caller): void | Promise<void> {
    context.caller = caller;
    if (caller.quota !== undefined) startRequest(context, caller.quota);
    if (route.metrics === true && !caller.metrics) throw insufficientScope('this token may not read the metrics');
    const { name } = context.params;
    if (name !== undefined && !mayUse(caller, name, rules!.isMain)) {
      throw route.unknownModel?.(context.params) ?? unknownModel(name);
    }
    if (route.main !== true || mayUseMain(caller, rules!.isMain)) return undefined;
    return permitMain(caller);
  }

  /** Its names may be known only after it is loaded. */
  async function permitMain(caller: Caller): Promise<void> {
    if (caller.models!.size > 0) await rules!.whenMainIsKnown().catch(refuseUnknown);
    if (!mayUseMain(caller, rules!.isMain)) throw new ServingError('NOT_FOUND', 'there is no model at this path');
  }

  // A description of the model that everybody may read makes its state no secret.
  const anonymous = rules.open.includes('/openapi.json') ? undefined : ANONYMOUS;

  /** Routes that platforms poll are served to everybody, but show more to callers that are known. */
  function recognize(context: RequestContext): void | Promise<void> {
    context.caller = anonymous;
    const set = (caller: Caller): void => {
      context.caller = caller;
    };
    try {
      const caller = authenticate(context.req);
      return caller instanceof Promise ? caller.then(set, () => {}) : set(caller);
    } catch {}
  }

  return (context, route) => {
    if (route.admin === true) {
      check(context.req);
      context.caller = ADMIN;
      return undefined;
    }
    if (route.open === true) return recognize(context);
    if (isOpened(rules.open, route)) return undefined;
    const caller = authenticate(context.req);
    return caller instanceof Promise
      ? caller.then((known) => permit(context, route, known))
      : permit(context, route, caller);
  };
}

/** The model may be one that the caller may not use: the reason why it is not loaded names it. */
function refuseUnknown(cause: unknown): never {
  const retryAfter = cause instanceof ServingError ? (cause.retryAfter ?? 1) : 1;
  throw new ServingError('NOT_READY', 'the model is not ready', { retryAfter, cause });
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
