/** What each value must look like: it becomes a part of YAML, of shell lines and of names. */
const RULES = {
  // Cloud Run takes 49 characters, and 63 for a revision, whose name has 17 more.
  name: [/^[a-z]([a-z0-9-]{0,44}[a-z0-9])?$/, 'lowercase letters, digits and -, a letter first, at most 46 characters'],
  project: [
    /^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/,
    'the id of a project: 6 to 30 lowercase letters, digits and -',
  ],
  region: [/^[a-z]+(-[a-z]+)+\d+$/, 'a region such as europe-west1'],
  image: [
    /^[a-z0-9][\w.:@/-]*$/,
    'the name of an image such as ml-model or REGION-docker.pkg.dev/PROJECT/ml/ml-model:1',
  ],
} as const;

type Value = keyof typeof RULES;

/** The values of a project that have a rule. */
export const VALUES = Object.keys(RULES) as Value[];

/** What a value takes, and what was given instead; undefined if it can be used. */
export function findFault(value: Value, given: string): string | undefined {
  const [pattern, takes] = RULES[value];
  return pattern.test(given) ? undefined : `it takes ${takes}, and not ${JSON.stringify(given)}`;
}
