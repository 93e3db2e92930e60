import { isDeepStrictEqual } from 'node:util';

/** A Knative service as Cloud Run's API v1 gives and takes it, as far as it matters here. */
export interface Service {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    generation?: number;
    resourceVersion?: string;
    annotations?: Record<string, string>;
    labels?: Record<string, string>;
  };
  spec: { template: Template; traffic?: Traffic[] };
  status?: Status;
}
export interface Template {
  metadata?: { name?: string; annotations?: Record<string, string> };
  spec: { serviceAccountName?: string; containers: { image: string; name?: string }[] };
}
export interface Traffic {
  revisionName?: string;
  latestRevision?: boolean;
  percent?: number;
  tag?: string;
  url?: string;
}
interface Status {
  observedGeneration: number;
  conditions: { type: string; status: string; message?: string }[];
  latestCreatedRevisionName: string;
  latestReadyRevisionName?: string;
  url: string;
  traffic: Traffic[];
}

/** What the API answers in place of a service. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The services of one project and region, with Cloud Run's rules for revisions and traffic. */
export class Services {
  readonly all = new Map<string, Service>();
  /** The template of every revision. */
  readonly revisions = new Map<string, Template>();
  /** When each revision came, a second after the one before; as Cloud Run writes it, without zeros at the end. */
  readonly created = new Map<string, string>();
  /** Whether a new revision gets ready. */
  healthy = true;
  readonly #urlOf: (service: string, tag?: string) => string;

  constructor(urlOf: (service: string, tag?: string) => string) {
    this.#urlOf = urlOf;
  }

  /** @throws Refusal 404 */
  get(name: string): Service {
    const service = this.all.get(name);
    if (service === undefined) throw new Refusal(404, `Resource '${name}' of kind 'SERVICE' does not exist.`);
    return service;
  }

  /** Creates a service or puts another in its place. @throws Refusal 409 for a name or a version that is taken, 400 for traffic that is wrong */
  put(given: Service, create: boolean): Service {
    const { name } = given.metadata;
    const before = this.all.get(name);
    if (create && before !== undefined) throw new Refusal(409, `Resource '${name}' already exists.`);
    if (!create && given.metadata.resourceVersion !== this.get(name).metadata.resourceVersion)
      throw new Refusal(409, `Conflict for resource '${name}': version '${given.metadata.resourceVersion}' is old.`);
    const generation = (before?.metadata.generation ?? 0) + 1;
    const service = structuredClone(given);
    service.metadata = { ...service.metadata, generation, resourceVersion: `v${generation}` };
    const created = this.#addRevision(service, before, generation);
    const ready = this.healthy ? created : before?.status?.latestReadyRevisionName;
    service.spec.traffic ??= [{ latestRevision: true, percent: 100 }];
    service.status = {
      observedGeneration: generation,
      conditions: ['Ready', 'ConfigurationsReady', 'RoutesReady'].map((type) =>
        this.healthy ? { type, status: 'True' } : { type, status: 'False', message: 'The container failed to start.' },
      ),
      latestCreatedRevisionName: created,
      ...(ready === undefined ? {} : { latestReadyRevisionName: ready }),
      url: this.#urlOf(name),
      traffic: this.#route(name, service.spec.traffic, ready),
    };
    this.all.set(name, service);
    return service;
  }

  #addRevision(service: Service, before: Service | undefined, generation: number): string {
    const { template } = service.spec;
    const same = before !== undefined && isDeepStrictEqual(template, before.spec.template);
    if (same) return before.status!.latestCreatedRevisionName;
    const revision = template.metadata?.name ?? `${service.metadata.name}-${String(generation).padStart(5, '0')}-abc`;
    if (this.revisions.has(revision)) throw new Refusal(409, `Revision named '${revision}' already exists.`);
    this.revisions.set(revision, template);
    const second = String(this.created.size).padStart(2, '0');
    this.created.set(revision, `2026-01-01T00:00:${second}${this.created.size % 2 === 0 ? '' : '.5'}Z`);
    return revision;
  }

  #route(name: string, traffic: readonly Traffic[], ready: string | undefined): Traffic[] {
    const percent = traffic.reduce((sum, target) => sum + (target.percent ?? 0), 0);
    if (percent !== 100) throw new Refusal(400, `Traffic percents must add up to 100, got ${percent}.`);
    const tags = traffic.flatMap(({ tag }) => tag ?? []);
    if (new Set(tags).size < tags.length) throw new Refusal(400, 'A traffic tag must be unique.');
    return traffic.flatMap((target) => {
      if (!target.latestRevision && target.revisionName === undefined)
        throw new Refusal(400, 'A traffic target must name a revision, or the latest.');
      const revisionName = target.latestRevision ? ready : target.revisionName;
      if (revisionName === undefined) return [];
      if (!this.revisions.has(revisionName)) throw new Refusal(400, `Revision '${revisionName}' does not exist.`);
      const url = target.tag === undefined ? {} : { url: this.#urlOf(name, target.tag) };
      return [{ ...target, revisionName, ...url }];
    });
  }

  /** Who serves how many of a hundred requests, by revision. */
  serving(name: string): Record<string, number> {
    const shares = this.get(name).status!.traffic.filter(({ percent }) => (percent ?? 0) > 0);
    return Object.fromEntries(shares.map(({ revisionName, percent }) => [revisionName!, percent!]));
  }

  /** Which revision has which tag. */
  tags(name: string): Record<string, string> {
    const tagged = this.get(name).status!.traffic.filter(({ tag }) => tag !== undefined);
    return Object.fromEntries(tagged.map(({ tag, revisionName }) => [tag!, revisionName!]));
  }
}
