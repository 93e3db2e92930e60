import type { Session } from '../process/session.ts';
import type { PicturePreparation } from './preparation.ts';

export function pictureSession(session: Session, _preparation: PicturePreparation): Session {
  return session;
}
