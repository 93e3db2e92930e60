import { setFlagsFromString } from 'node:v8';
import { type App, createApp } from './app.ts';
import { bootstrap } from './bootstrap.ts';
import type { Config, GivenSettings } from './config/settings.ts';
import {
  type Certificates,
  readCertificates,
  type TlsFiles,
  watchCertificates,
} from './http/connection/certificates.ts';
import { possibleConnections } from './http/connection/connection-limit.ts';
import { createHttpServer } from './http/connection/http-server.ts';
import { listen } from './http/connection/listen.ts';
import type { LogFields, Logger } from './telemetry/log/logger.ts';

/** The part of `SHUTDOWN_GRACE_MS` that is reserved for ending the engine processes and writing the last log lines. */
const CLOSING_MS = 500;
/** Connections of the admin port: probes, scrapes, and a few operators. */
const ADMIN_CONNECTIONS = 64;

/** A program that runs the server in its own process, and reports its state to a person. */
export interface Supervisor {
  /** Called once, before the server listens and the model loads. */
  started(app: App, config: Config, logger: Logger): void;
  /** Called when the server listens on `PORT`, with the port. */
  listening(port: number): void;
  /** Called with the reason why the server cannot start; the process then ends with exit code 1. */
  failed(message: string): void;
}

/**
 * Listens, loads the model, and serves until a signal or an uncaught error.
 * @param given settings of a command line, which replace those of the environment
 */
export function main(given: GivenSettings = {}, supervisor?: Supervisor): void {
  const { config, logger } = bootstrap(given);
  function fail(message: string, fields: LogFields): void {
    supervisor?.failed(message);
    // On a terminal the log is beside the report.
    if (supervisor === undefined || !process.stdout.isTTY) logger.critical(message, fields);
    void logger.flush(CLOSING_MS).then(() => process.exit(1));
  }
  let tls: Tls | undefined;
  try {
    tls = readTls(config);
  } catch (error) {
    fail((error as Error).message, {});
    return;
  }
  const app = createApp(config, logger);
  supervisor?.started(app, config, logger);
  const servers = createServers(config, app, tls, logger);
  const inFlight = (): number => servers.reduce((sum, { http }) => sum + http.inFlight(), 0);
  let shuttingDown = false;
  let exitCode = 0;

  /** Refuses new requests, waits for those in flight, ends the engine processes, and then the process. */
  async function shutDown(cause: string): Promise<void> {
    shuttingDown = true;
    logger.info(`${cause}: finishing the requests in flight`, { count: inFlight() });
    app.drain();
    const graceMs = config.SHUTDOWN_GRACE_MS - CLOSING_MS;
    const finished = await Promise.all(servers.map(({ http }) => http.drain(graceMs)));
    if (finished.includes(false)) {
      logger.error('requests were cut off: SHUTDOWN_GRACE_MS is over', { count: inFlight() });
    }
    for (const { http } of servers) http.close();
    await Promise.race([app.close(), delay(CLOSING_MS / 2)]);
    await logger.flush(CLOSING_MS / 2);
    process.exit(exitCode);
  }

  for (const signal of ['SIGTERM', 'SIGINT']) {
    // A second signal ends the process at once.
    process.on(signal, () => (shuttingDown ? process.exit(exitCode || 1) : void shutDown(signal)));
  }
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error: unknown) => {
      logger.critical(`uncaught error: ${event}`, { error });
      exitCode = 1;
      // Further errors are only logged: the requests in flight have the same time as after a signal.
      if (!shuttingDown) void shutDown(event);
    });
  }

  for (const { http, name, port, host } of servers) {
    const listening = name === 'PORT' ? supervisor?.listening : undefined;
    listen(http.server, { name, port, host, logger, fail, listening });
  }
  if (config.MODEL_LOAD !== 'lazy') app.model.load();
  // V8's middle compiler makes no request cheaper here, and 17 MB of its memory stay with the process. Not a flag of the command line,
  // with which V8 ignores its cache of Node's own modules: that takes 25 ms of a start.
  setFlagsFromString('--no-maglev');
  // The garbage of a stream of rows, and of loads, is collected when the heap has grown by 40 %, not when it has four times the bytes:
  // 30 MB less. After a hundred swaps of a model, 7 MB of garbage are left; at 100 %, 13 MB.
  setFlagsFromString('--heap-growing-percent=40');
}

interface Listener {
  readonly http: ReturnType<typeof createHttpServer>;
  readonly name: 'PORT' | 'ADMIN_PORT';
  readonly port: number;
  readonly host: string;
}

interface Tls {
  readonly files: TlsFiles;
  readonly certificates: Certificates;
}

/** The server of `PORT`, and that of `ADMIN_PORT` if it is set. A new certificate is used by both. */
function createServers(
  config: Config,
  { handler, adminHandler, metrics }: Pick<ReturnType<typeof createApp>, 'handler' | 'adminHandler' | 'metrics'>,
  tls: Tls | undefined,
  logger: Logger,
): Listener[] {
  const shared = { maxBodyBytes: config.MAX_BODY_BYTES, logger, metrics };
  const possible = possibleConnections();
  const maxConnections = Math.min(possible, config.MAX_CONNECTIONS ?? possible);
  const options = tls?.certificates.options;
  const http = createHttpServer({ ...shared, handler, maxConnections, tls: options });
  const servers: Listener[] = [{ http, name: 'PORT', port: config.PORT, host: config.HOST }];
  // Probes and scrapes have no client certificate.
  const withoutAuthorities = options && { ...options, ca: undefined };
  if (adminHandler !== undefined && config.ADMIN_PORT !== undefined) {
    const http = createHttpServer({
      ...shared,
      handler: adminHandler,
      maxConnections: ADMIN_CONNECTIONS,
      tls: withoutAuthorities,
    });
    servers.push({ http, name: 'ADMIN_PORT', port: config.ADMIN_PORT, host: config.ADMIN_HOST ?? config.HOST });
  }
  if (tls === undefined) return servers;
  watchCertificates(
    tls.files,
    tls.certificates,
    (changed) => {
      for (const { http, name } of servers) {
        http.setCertificate(name === 'PORT' ? changed : { ...changed, ca: undefined });
      }
    },
    logger,
  );
  return servers;
}

/** Reads the files of TLS. @throws Error that names a file that cannot be used. */
function readTls(config: Config): Tls | undefined {
  const { TLS_CERT_FILE: certificate, TLS_KEY_FILE: key, TLS_CLIENT_CA_FILE: clientAuthorities } = config;
  if (certificate === undefined || key === undefined) return undefined;
  const files = { certificate, key, clientAuthorities };
  return { files, certificates: readCertificates(files) };
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
