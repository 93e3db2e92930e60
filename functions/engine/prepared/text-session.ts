import type { Session } from '../process/session.ts';
import type { TextPreparation } from './preparation.ts';

export function textSession(session: Session, _preparation: TextPreparation): Session {
  return session;
}
