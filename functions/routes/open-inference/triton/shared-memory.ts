import { ServingError } from '../../../errors.ts';
import { type RequestContext, sendJson } from '../../../http/request-context.ts';
import type { Route } from '../../../http/router.ts';

/** The prefixes of the paths of Triton's routes for shared memory, of the machine and of a GPU. */
export const SHARED_MEMORY_PATHS = ['/v2/systemsharedmemory', '/v2/cudasharedmemory'] as const;

/**
 * The requests that Triton's clients send before they start (Triton, shared memory extension): which regions are registered, and
 * to unregister them. This server shares no memory, so there are none. As in Triton, unregistering all regions when there are
 * none, and one that is not registered, is 200 (triton-inference-server/server, src/shared_memory_manager.cc: `UnregisterAll`,
 * `UnregisterHelper`; src/http_server.cc: `HandleSystemSharedMemory`, `HandleCudaSharedMemory`).
 */
export function createSharedMemoryRoutes(): Route[] {
  const status = (context: RequestContext): void => sendJson(context, 200, '[]');
  const unregister = (context: RequestContext): void => sendJson(context, 200, '{}');
  return SHARED_MEMORY_PATHS.flatMap((path): Route[] => [
    { method: 'GET', path: `${path}/status`, handle: status },
    { method: 'GET', path: `${path}/region/{region}/status`, handle: status },
    { method: 'POST', path: `${path}/unregister`, handle: unregister },
    { method: 'POST', path: `${path}/region/{region}/unregister`, handle: unregister },
    { method: 'POST', path: `${path}/region/{region}/register`, handle: refuse },
  ]);
}

function refuse(): never {
  const message =
    'this server shares no memory with its callers: send tensors in the request, as binary data where they are large';
  throw new ServingError('UNSUPPORTED', message);
}
