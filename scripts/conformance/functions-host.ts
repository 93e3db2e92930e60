import type { Limits } from './run.ts';

/** What the functions framework takes out of the handler's hands. docs/deploy/functions.md says the same of all routes. */
export const FUNCTIONS_LIMITS: Limits = {
  9: {
    why: 'the framework parses JSON before the handler runs, and answers what it can not parse with an HTML page',
    parts: /^(?!in front of bytes)/,
  },
  10: {
    why: 'the framework answers a JSON value that is no object or array with an HTML page',
    parts: /^(null|"x"|1)$/,
  },
  26: {
    why: 'the framework inflates bodies before the handler runs, and answers what it can not inflate with an HTML page',
    parts: /^(gzip that is|an encoding that does not exist|a bomb)/,
  },
  31: { why: 'the framework exits at once on SIGTERM', parts: /^(a new request|the request under way)/ },
};
