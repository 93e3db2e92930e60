import type { Quota } from './quota.ts';

/** Who has sent a request, and what it may use. */
export interface Caller {
  /** Identifies the caller, among those of all issuers as well. */
  readonly id: string;
  /** For the log: the name in `AUTH_TOKEN_FILE`, or the email address or subject of a JWT. Never the token. */
  readonly name: string;
  /** The models that it may use, by name; undefined: all of them. */
  readonly models: ReadonlySet<string> | undefined;
  /** Whether it may read the metrics. */
  readonly metrics: boolean;
  /** Whether responses may show it what is meant for operators. */
  readonly operator: boolean;
  /** Undefined: its requests are not limited. */
  readonly quota: Quota | undefined;
}

/** The sender of a request to a route that is always open: it gets no more than the status. */
export const ANONYMOUS: Caller = {
  id: 'anonymous',
  name: 'anonymous',
  models: new Set(),
  metrics: false,
  operator: false,
  quota: undefined,
};

/** The sender of a request with the admin token, on a server that authenticates callers. */
export const ADMIN: Caller = {
  id: 'admin',
  name: 'admin',
  models: undefined,
  metrics: true,
  operator: true,
  quota: undefined,
};

/** Whether a name is one of the model behind `/predict`, which may have two: that of its folder, and that in its `model.json`. */
export type IsMain = (name: string) => boolean;

/**
 * Whether the sender of a request may use a model, by any name of it.
 * @param caller undefined: no caller is authenticated, and all models may be used.
 */
export function mayUse(caller: Caller | undefined, name: string, isMain: IsMain): boolean {
  const models = caller?.models;
  return models === undefined || models.has(name) || (models.size > 0 && isMain(name) && [...models].some(isMain));
}

/** Whether the sender of a request may use the model behind `/predict`. @param caller as for {@link mayUse}. */
export function mayUseMain(caller: Caller | undefined, isMain: IsMain): boolean {
  const models = caller?.models;
  return models === undefined || [...models].some(isMain);
}
