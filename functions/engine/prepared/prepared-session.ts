import type { Session } from '../process/session.ts';
import { pictureSession } from './picture-session.ts';
import type { Preparation } from './preparation.ts';
import { textSession } from './text-session.ts';

/**
 * A session that takes what the preprocessor gives, and whose outputs callers get.
 * @throws Error that names an input which the model needs and the preparation does not give, and what has callers send tensors
 */
export function prepareSession(session: Session, preparation: Preparation | undefined): Session {
  if (preparation === undefined || preparation.kind === 'code') return session;
  try {
    return preparation.kind === 'text' ? textSession(session, preparation) : pictureSession(session, preparation);
  } catch (cause) {
    const hint = '"input": {"tensors": true} in model.json has callers send tensors';
    throw new Error(`${(cause as Error).message}; ${hint}`, { cause });
  }
}
