/** The command line of `golden`. */
export interface GoldenArguments {
  readonly path: string | undefined;
  readonly samples: string | undefined;
  readonly output?: string;
  readonly count: number;
  readonly tolerance: number;
  readonly force?: boolean;
  readonly check?: string;
  readonly model?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly identityToken?: string | true;
  readonly wait: number;
  readonly json?: boolean;
}
