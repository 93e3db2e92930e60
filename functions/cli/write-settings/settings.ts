/** What a deployment sets for its server. What is undefined stays as it is. */
export interface ServiceSettings {
  /** Of an instance or pod, rounded up to MiB. */
  readonly memoryBytes?: number | undefined;
  /** vCPUs of an instance or pod. */
  readonly cpu?: number | undefined;
  /** Requests that Cloud Run sends to an instance at the same time. GKE has no such setting. */
  readonly concurrency?: number | undefined;
  /** Settings of the server, as docs/operate/settings.md has them: `{ INFERENCE_PROCESSES: '1' }`. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
}

/** One value of a file. */
export interface Change {
  /** Where it is: `spec.template.spec.containerConcurrency`, `INTRA_OP_THREADS`. */
  readonly place: string;
  /** Undefined: it was not set. */
  readonly from: string | undefined;
  readonly to: string;
}

/** A file with its new text, which is not written yet. */
export interface PlannedFile {
  readonly path: string;
  readonly text: string;
  /** Empty: the file has these values already. */
  readonly changes: readonly Change[];
}

/** Bytes as Kubernetes and Cloud Run take them, rounded up: `512Mi`, `2Gi`. */
export function quantityOf(bytes: number): string {
  const mebibytes = Math.ceil(bytes / 2 ** 20);
  return mebibytes % 1024 === 0 ? `${mebibytes / 1024}Gi` : `${mebibytes}Mi`;
}

/** A quantity of bytes of Kubernetes, or of CPUs (`500m`); undefined for any other text. */
export function numberOf(quantity: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(quantity) ?? [];
  const factor = FACTORS[unit];
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  m: 0.001,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};
