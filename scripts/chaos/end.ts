import type { Chaos } from './fault.ts';
import type { Target } from './target.ts';

/** The processes of a shared machine end later than they would alone. */
const SLACK_MS = { full: 1000, quick: 5000 };

/** Sends SIGTERM, and reports whether the server exits with 0 in time and leaves no process behind. @param graceMs its SHUTDOWN_GRACE_MS */
export async function endByTerm(chaos: Chaos, target: Target, during: string, graceMs: number): Promise<void> {
  const { code, signal, ms, left } = await target.stop();
  const most = graceMs + chaos.scale(SLACK_MS.full, SLACK_MS.quick);
  const isRight = code === 0 && ms <= most && left.length === 0;
  const rest = left.length === 0 ? '' : `, ${left.length} processes left`;
  chaos.holds(
    `${during}: exits with 0 within ${most} ms`,
    isRight,
    `${signal ?? code} after ${ms.toFixed(0)} ms${rest}`,
  );
}
