import type { Limits } from './run.ts';

/** Limits of the functions framework, which the handler cannot change. docs/deploy/functions.md has them for all routes. */
export const FUNCTIONS_LIMITS: Limits = {
  9: {
    why: 'the framework parses JSON before the handler runs, and responds to invalid JSON with an HTML page',
    parts: /^(?!in front of bytes)/,
  },
  10: {
    why: 'the framework responds to a JSON value that is not an object or array with an HTML page',
    parts: /^(null|"x"|1)$/,
  },
  26: {
    why: 'the framework inflates bodies before the handler runs, and responds to invalid ones with an HTML page',
    parts: /^(gzip that is|an encoding that does not exist|a bomb)/,
  },
  31: { why: 'the framework exits at once on SIGTERM', parts: /^(a new request|the request under way)/ },
};
