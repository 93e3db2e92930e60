import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/** Prints `usage` and ends the program with 0, if `--help` or `-h` is among its arguments. */
export function printHelp(usage: string): void {
  const args = process.argv.slice(2);
  if (!args.includes('--help') && !args.includes('-h')) return;
  console.log(usage);
  process.exit(0);
}

/** Ends the program for wrong usage: with one line on stderr, and exit code 2. */
export function refuseUsage(message: string): never {
  console.error(`${message}; --help prints the usage`);
  process.exit(2);
}

/**
 * Reads the arguments of the program, after `printHelp`. Arguments that it does not take end it as {@link refuseUsage} does.
 * @param options as for `parseArgs`
 * @param operands how many arguments may follow the options: at least, at most
 */
export function readCommandLine<const T extends Options>(
  usage: string,
  options: T,
  [least, most]: readonly [least: number, most: number] = [0, 0],
): ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>> {
  printHelp(usage);
  const read = (): ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>> => {
    try {
      return parseArgs({ options, allowPositionals: true });
    } catch (error) {
      // The first sentence names the option; the second is about names that begin with a dash.
      return refuseUsage((error as Error).message.split('. ')[0]!);
    }
  };
  const parsed = read();
  const { length } = parsed.positionals;
  if (length < least) refuseUsage(`expected ${least} argument${least === 1 ? '' : 's'}, got ${length}`);
  if (length > most) refuseUsage(`unexpected argument ${JSON.stringify(parsed.positionals[most])}`);
  return parsed;
}
