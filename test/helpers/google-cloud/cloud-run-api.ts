import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Refusal, type Service, Services } from './cloud-run-services.ts';

/** Cloud Run's API on loopback, for the real `gcloud`: it is reached as an HTTP proxy, as the host's name has the region in it. */
export interface CloudRunApi {
  readonly port: number;
  readonly services: Services;
  /** Every call so far: `PUT /apis/serving.knative.dev/v1/namespaces/p/services/s`. */
  readonly calls: readonly string[];
  /** Called after the next change of a service: what another does then. */
  afterChange: (() => void) | undefined;
  /** Paths that the caller may not use. */
  refuses: RegExp | undefined;
  /** The statuses of the requests that a revision has got, as the request logs have them. */
  statuses: (revision: string) => readonly number[];
  close(): Promise<void>;
}

const PROJECT = /^\/v1\/projects\/[^/]+/;
const SERVICES = /^\/apis\/serving\.knative\.dev\/v1\/namespaces\/[^/]+\/services(?:\/([^/]+))?$/;
const REVISION = /^\/apis\/serving\.knative\.dev\/v1\/namespaces\/[^/]+\/revisions\/([^/]+)$/;
const LOG_FILTER =
  /^resource\.type=cloud_run_revision AND resource\.labels\.revision_name=(\S+) AND resource\.labels\.location=us-central1 AND log_id\("run\.googleapis\.com\/requests"\) AND timestamp>="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"$/;

/** @param urlOf where a service, or a tag of it, is served */
export async function startCloudRunApi(
  urlOf = (service: string, tag?: string) =>
    `https://${tag === undefined ? '' : `${tag}---`}${service}-abc-uc.a.run.app`,
): Promise<CloudRunApi> {
  const services = new Services(urlOf);
  const calls: string[] = [];
  const server = createServer(async (request, response) => {
    let status = 200;
    let answer: unknown;
    try {
      answer = await handle(request);
    } catch (error) {
      status = error instanceof Refusal ? error.code : 500;
      answer = { error: { code: status, message: (error as Error).message, status: 'REFUSED' } };
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function handle(request: IncomingMessage): Promise<unknown> {
    const { host, pathname } = new URL(request.url!, 'http://nowhere');
    calls.push(`${request.method} ${pathname}`);
    const body = await text(request);
    if (api.refuses?.test(pathname)) throw new Refusal(403, 'Permission denied: refused by the test.');
    if (host.startsWith('serviceusage')) return { name: pathname, state: 'ENABLED' };
    if (host.startsWith('logging')) return listEntries((JSON.parse(body) as { filter: string }).filter);
    const [, revision] = REVISION.exec(pathname) ?? [];
    if (revision !== undefined) return describeRevision(revision);
    const [, name] = SERVICES.exec(pathname) ?? [undefined, undefined];
    if (PROJECT.test(pathname)) return handleProject(pathname);
    if (!SERVICES.test(pathname)) throw new Refusal(404, `no such path: ${pathname}`);
    if (request.method === 'GET' && name === undefined)
      return { apiVersion: 'serving.knative.dev/v1', kind: 'ServiceList', items: [...services.all.values()] };
    if (request.method === 'GET') return services.get(name!);
    const changed = services.put(JSON.parse(body) as Service, request.method === 'POST');
    const other = api.afterChange;
    api.afterChange = undefined;
    other?.();
    return changed;
  }

  /** The entries of Cloud Logging for the one filter that the steps use, which must have all its parts. */
  function listEntries(filter: string): unknown {
    const [, revision] = LOG_FILTER.exec(filter) ?? [];
    if (revision === undefined) throw new Refusal(400, `not the expected filter: ${filter}`);
    return { entries: api.statuses(revision).map((status) => ({ httpRequest: { status } })) };
  }

  function describeRevision(name: string): unknown {
    const creationTimestamp = services.created.get(name);
    if (creationTimestamp === undefined) throw new Refusal(404, `Revision '${name}' does not exist.`);
    const { spec, metadata } = services.revisions.get(name)!;
    return {
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Revision',
      metadata: { ...metadata, name, creationTimestamp },
      spec,
      status: {},
    };
  }

  function handleProject(path: string): unknown {
    if (path.endsWith(':testIamPermissions')) return { permissions: [] };
    if (path.endsWith(':getIamPolicy') || path.endsWith(':setIamPolicy')) return { version: 1, etag: 'ZQ==' };
    if (path.endsWith('/locations')) return { locations: [{ locationId: 'us-central1' }] };
    throw new Refusal(404, `no such path: ${path}`);
  }

  const api: CloudRunApi = {
    port: (server.address() as AddressInfo).port,
    services,
    calls,
    afterChange: undefined,
    refuses: undefined,
    statuses: () => [],
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return api;
}

/** What makes `gcloud` use it and nothing else: its settings lie in `folder`, and it has no credentials. */
export function gcloudEnvironment(api: CloudRunApi, folder: string): Record<string, string> {
  return {
    CLOUDSDK_CONFIG: folder,
    CLOUDSDK_CORE_PROJECT: 'my-project',
    CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
    CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: '1',
    CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: '1',
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS: 'true',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN: 'http://run.test/',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING: 'http://logging.test/',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE: 'http://serviceusage.test/',
    CLOUDSDK_PROXY_TYPE: 'http_no_tunnel',
    CLOUDSDK_PROXY_ADDRESS: '127.0.0.1',
    CLOUDSDK_PROXY_PORT: String(api.port),
  };
}
