import type { Check } from './check.ts';
import { ANSWER_CHECKS } from './checks/answers.ts';
import { BINARY_CHECKS } from './checks/binary.ts';
import { LIMIT_CHECKS } from './checks/limits.ts';
import { LOAD_CHECKS } from './checks/load.ts';
import { MODEL_CHECKS } from './checks/models.ts';
import { REQUEST_CHECKS } from './checks/requests.ts';
import { SERVER_CHECKS } from './checks/server.ts';
import { VALUE_CHECKS } from './checks/values.ts';

/** All checks, in the order of their numbers: the last one ends the server. */
export const CHECKS: readonly Check[] = [
  SERVER_CHECKS,
  MODEL_CHECKS,
  REQUEST_CHECKS,
  ANSWER_CHECKS,
  VALUE_CHECKS,
  BINARY_CHECKS,
  LIMIT_CHECKS,
  LOAD_CHECKS,
]
  .flat()
  .sort((a, b) => a.number - b.number);
