import type { App } from '../../app.ts';
import type { Config } from '../../config/settings.ts';
import type { Supervisor } from '../../container.ts';
import type { ServingError } from '../../errors.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import { openPage } from './open-page.ts';
import { progressLine } from './progress-line.ts';
import { type Address, addressLines, exampleCall } from './ready-text.ts';

interface ReportOptions {
  /** While the model loads, the log has critical lines alone: the report says the rest. */
  readonly isQuiet?: boolean;
  readonly opensPage?: boolean;
  /** The process ends if the model does not load. Otherwise the server tries again, and serves its other models. */
  readonly endsIfFailed?: boolean;
}

const REDRAW_MS = 100;
const FLUSH_MS = 500;
/** Clears the line of a terminal, and moves to its start. */
const CLEAR_LINE = '\r\x1b[K';

/**
 * Creates a supervisor that reports to a person on stderr: the progress of the load, as one line that is rewritten on a terminal, then
 * the address of the page, a call with an example of the model, and how to stop.
 */
export function createReport(options: ReportOptions = {}): Supervisor {
  let started: { app: App; config: Config; logger: Logger };
  const say = (line: string): void => void process.stderr.write(`${line}\n`);

  async function report(port: number): Promise<void> {
    const { config } = started;
    const address = addressOf(config, port);
    if (process.stderr.isTTY) process.once('SIGINT', () => say('stopping: requests in flight are finished first'));
    const isLazy = config.MODEL_LOAD === 'lazy';
    const predict = isLazy ? 'the model is loaded at the first request' : await load(address);
    say(addressLines(address, predict).join('\n'));
    if (options.opensPage && address.hasPage) openPage(`${address.url}/`, say);
  }

  /** Reports the load of the model. @returns how to call it; undefined if it did not load */
  async function load(address: Address): Promise<string | undefined> {
    const { app, config, logger } = started;
    const levels = logger.levels();
    if (options.isQuiet) logger.setLevels(['critical']);
    try {
      const live = await withProgress(app.model, config.MODEL_URI);
      say(`${live.name} ${live.version} is ready, after ${app.model.status().seconds.toFixed(1)} s\n`);
      return exampleCall(live, address);
    } catch (error) {
      const reason = reasonOf(error);
      if (options.endsIfFailed) await end(reason);
      say(`the model behind /predict is not ready: ${reason}\n`);
      return undefined;
    } finally {
      logger.setLevels(levels);
    }
  }

  async function end(reason: string): Promise<never> {
    say(`onnx-cloud-run: ${reason}`);
    await started.app.close();
    await started.logger.flush(FLUSH_MS);
    process.exit(1);
  }

  return {
    started(app, config, logger) {
      started = { app, config, logger };
    },
    listening: (port) => void report(port),
    failed: (message) => say(`onnx-cloud-run: ${message}`),
  };
}

/** Waits until the model serves. @throws ServingError as `Model.whenLive` does */
async function withProgress(model: App['model'], uri: string): Promise<Generation> {
  const { stderr } = process;
  if (!stderr.isTTY) {
    stderr.write(`loading ${uri}\n`);
    return model.whenLive();
  }
  const draw = (): void => void stderr.write(`${CLEAR_LINE}${progressLine(model.status(), uri, stderr.columns)}`);
  const timer = setInterval(draw, REDRAW_MS);
  try {
    return await model.whenLive();
  } finally {
    clearInterval(timer);
    stderr.write(CLEAR_LINE);
  }
}

/** The reason with what callers are not told: the reader is the operator. */
function reasonOf(error: unknown): string {
  const { detail, message } = error as ServingError;
  return detail ?? message;
}

/** The address of the server for programs on its machine. */
function addressOf(config: Config, port: number): Address {
  const isLocal = ['*', '127.0.0.1', '0.0.0.0', '::', '::1', 'localhost'].includes(config.HOST);
  const host = isLocal ? 'localhost' : config.HOST;
  return {
    url: `${config.TLS_CERT_FILE === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    hasPage: config.PAGE === 'on',
    needsToken: config.AUTH_TOKEN_FILE !== undefined || config.AUTH_ISSUER !== undefined,
  };
}
