import { HOST_ARGUMENTS, type HostKind, type ListeningServer, startServer } from '../server-process.ts';
import { STARTING } from './fixture.ts';

/** The limit of bodies with which the server is started: a small one, which is cheap to exceed. */
export const LIMIT_BYTES = 2 ** 20;

/** Starts the production build on the fixture's models, and waits until it listens: its models load then. */
export function startOwnServer(kind: HostKind, folder: string): Promise<ListeningServer> {
  return startServer(HOST_ARGUMENTS[kind], {
    NODE_ENV: 'production',
    MODEL_URI: folder,
    MODEL_NAME: STARTING,
    MODEL_LOAD: 'eager',
    MAX_BODY_BYTES: String(LIMIT_BYTES),
    INFERENCE_PROCESSES: '1',
    LOG_LEVEL: 'error',
  });
}
