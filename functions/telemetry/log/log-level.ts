/** Most severe first; the names are Cloud Logging's severities in lower case. */
export const LEVELS = ['critical', 'error', 'warning', 'info', 'debug'] as const;

/** The severity of a line. */
export type Level = (typeof LEVELS)[number];

/** Winston's npm levels, each with the level that replaces it. */
const ALIASES = { warn: 'warning', http: 'info', verbose: 'debug', silly: 'debug' } as const;

/** A level, or one of winston's npm levels: `warn` is `warning`, `http` is `info`, `verbose` and `silly` are `debug`. */
export type LevelName = Level | keyof typeof ALIASES;

/** All names of levels. */
export const LEVEL_NAMES: readonly LevelName[] = [...LEVELS, ...(Object.keys(ALIASES) as (keyof typeof ALIASES)[])];

/** The level with this name. */
export function resolveLevel(name: LevelName): Level {
  return name in ALIASES ? ALIASES[name as keyof typeof ALIASES] : (name as Level);
}

/** The rank of a level: 0 for the most severe. A line is written if its rank is at most that of the configured level. */
export function rankOf(level: Level): number {
  return LEVELS.indexOf(level);
}
