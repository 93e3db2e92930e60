import type { Check } from './check.ts';
import { ANSWER_CHECKS } from './checks/answers.ts';
import { BINARY_CHECKS } from './checks/binary.ts';
import { EXTENSION_CHECKS } from './checks/extensions.ts';
import { LIMIT_CHECKS } from './checks/limits.ts';
import { LOAD_CHECKS } from './checks/load.ts';
import { MODEL_CHECKS } from './checks/models.ts';
import { REQUEST_CHECKS } from './checks/requests.ts';
import { SERVER_CHECKS } from './checks/server.ts';
import { VALUE_CHECKS } from './checks/values.ts';

/** The check that ends the server. */
const LAST = 31;

/** All checks, in the order of their numbers, but for the one that comes last. */
export const CHECKS: readonly Check[] = [
  SERVER_CHECKS,
  MODEL_CHECKS,
  REQUEST_CHECKS,
  ANSWER_CHECKS,
  VALUE_CHECKS,
  BINARY_CHECKS,
  LIMIT_CHECKS,
  LOAD_CHECKS,
  EXTENSION_CHECKS,
]
  .flat()
  .sort((a, b) => Number(a.number === LAST) - Number(b.number === LAST) || a.number - b.number);
