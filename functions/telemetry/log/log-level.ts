/** Most severe first; the names are Cloud Logging's severities in lower case. */
export const LEVELS = ['critical', 'error', 'warning', 'info', 'debug'] as const;

export type Level = (typeof LEVELS)[number];

/** Winston's npm names, taken as the level next to them. */
const ALIASES = { warn: 'warning', http: 'info', verbose: 'debug', silly: 'debug' } as const;

/** What a level setting takes: ours and winston's (`warn` is `warning`, `http` is `info`, `verbose` and `silly` are `debug`). */
export type LevelName = Level | keyof typeof ALIASES;

export const LEVEL_NAMES: readonly LevelName[] = [...LEVELS, ...(Object.keys(ALIASES) as (keyof typeof ALIASES)[])];

/** The level that `name` stands for. */
export function resolveLevel(name: LevelName): Level {
  return name in ALIASES ? ALIASES[name as keyof typeof ALIASES] : (name as Level);
}

/** 0 for the most severe. A line is written when its rank is not above the rank of the level set. */
export function rankOf(level: Level): number {
  return LEVELS.indexOf(level);
}
