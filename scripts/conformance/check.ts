import type { ModelMetadata, ServerMetadata } from '../../functions/client/client.ts';
import type { Answer, Sent } from './http.ts';
import type { Startup } from './startup.ts';

/** What a URL alone does not give: the options of the command that do. */
export type Need = 'fixture' | 'fresh' | 'pid';

/** One line of the protocol's checks. */
export interface Check {
  /** As in the list of checks, 1 to 35. */
  readonly number: number;
  readonly title: string;
  readonly needs?: readonly Need[];
  /** For servers with the extension `binary_tensor_data`. */
  readonly binary?: boolean;
  /** @throws Unproven where the server has not what the check needs. */
  run(context: Context, part: Part): Promise<void>;
}

/** One assertion of a check. It fails alone: the others are still made. */
export type Part = (title: string, run: () => Promise<unknown>) => Promise<void>;

/** The server under test. */
export interface Context {
  readonly url: string;
  /** One request. @throws Error where no answer comes in time. */
  send(sent: Sent): Promise<Answer>;
  /** The model of the checks that any model will do for. @throws Unproven where there is none. */
  model(): Promise<ModelMetadata>;
  server(): Promise<ServerMetadata>;
  /** Whether tensors may be sent and asked for in bytes. */
  hasBinary(): Promise<boolean>;
  /** Whether the server has the models of `fixture.ts`. */
  readonly fixture: boolean;
  /** What was seen from its start on. */
  readonly startup: Startup | undefined;
  readonly pid: number | undefined;
  /** Largest body that it takes. */
  readonly limitBytes: number | undefined;
}

/** A check that this server, called like this, can't be held to. */
export class Unproven extends Error {}

/** An answer that is not what the protocol says. */
export class Wrong extends Error {}
