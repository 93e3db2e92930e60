import { mayUseMain } from '../../access/caller.ts';
import { type CachedResponse, cacheText, sendCached } from '../../http/cached-response.ts';
import type { RequestContext } from '../../http/request-context.ts';
import type { Route } from '../../http/router.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { IsOpen, Listed } from './document.ts';

const PATH = '/openapi.json';

/**
 * `GET /openapi.json`: the OpenAPI document, with the types of the model behind `/predict`. It loads no model: until that model is
 * loaded, the types are general; so they are for a caller that may not use it.
 * @param others the routes that the document lists, in addition to its own.
 * @param isOpen see `writeDocument`.
 */
export function createOpenApiRoutes(
  { main: model, isMain }: Pick<Repository, 'main' | 'isMain'>,
  others: readonly Route[],
  isOpen?: IsOpen,
): Route[] {
  const listed: readonly Listed[] = [...others, { method: 'GET', path: PATH }];
  const typed = new WeakMap<Generation, Promise<CachedResponse>>();
  let general: Promise<CachedResponse> | undefined;

  async function write(live: Generation | undefined): Promise<CachedResponse> {
    // Most servers never serve the document: the modules that write it are loaded for the first request.
    const { writeDocument } = await import('./document.ts');
    return cacheText('application/json', writeDocument(listed, live, isOpen));
  }

  function responseFor(live: Generation | undefined): Promise<CachedResponse> {
    if (live === undefined) {
      general ??= write(undefined).catch((error) => {
        general = undefined;
        throw error;
      });
      return general;
    }
    const known = typed.get(live);
    if (known !== undefined) return known;
    const made = write(live).catch((error) => {
      typed.delete(live);
      throw error;
    });
    typed.set(live, made);
    return made;
  }

  async function handle(context: RequestContext): Promise<void> {
    const response = await responseFor(mayUseMain(context.caller, isMain) ? model.live() : undefined);
    await sendCached(context, response, ['gzip', 'deflate']);
  }

  return [{ method: 'GET', path: PATH, handle }];
}
