import type { ModelMetadata, ServerMetadata } from '../../clients/typescript/src/client.ts';
import type { JsonObject } from './expect.ts';
import type { Answer, Sent } from './http.ts';
import type { Startup } from './startup.ts';

/** Options of the command that a check may need in addition to the URL. */
export type Need = 'fixture' | 'fresh' | 'pid';

/** One check of the protocol. */
export interface Check {
  /** Its number in the list of checks, 1 to 35. */
  readonly number: number;
  readonly title: string;
  readonly needs?: readonly Need[];
  /** Whether it needs the extension `binary_tensor_data`. */
  readonly binary?: boolean;
  /** @throws Unproven if the server lacks something that the check needs. */
  run(context: Context, part: Part): Promise<void>;
}

/** Runs one assertion of a check. If it fails, the others are still run. */
export type Part = (title: string, run: () => Promise<unknown>) => Promise<void>;

/** The server under test. */
export interface Context {
  readonly url: string;
  /** Sends one request. @throws Error without a response in time. */
  send(sent: Sent): Promise<Answer>;
  /** The model of the checks that do not need a certain one. @throws Unproven if there is none. */
  model(): Promise<ModelMetadata>;
  /** The metadata of a model, as it was sent. A server that loads a model for predictions alone answers 503 before the first. */
  metadata(model: string): Promise<JsonObject>;
  server(): Promise<ServerMetadata>;
  /** Whether tensors may be sent and requested as binary data. */
  hasBinary(): Promise<boolean>;
  /** Whether the server has the models of `fixture.ts`. */
  readonly fixture: boolean;
  /** Its responses since its start. */
  readonly startup: Startup | undefined;
  readonly pid: number | undefined;
  /** Bytes of the largest body that it accepts. */
  readonly limitBytes: number | undefined;
}

/** A check that cannot be run against this server with these options. */
export class Unproven extends Error {}

/** A response that breaks the protocol. */
export class Wrong extends Error {}
