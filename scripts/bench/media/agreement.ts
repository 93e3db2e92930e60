import type { ModelInput } from '../bench-inputs.ts';
import { type ContestantSpec, startContestant } from '../contestant.ts';

/**
 * Starts each server in turn, sends it every body once, and compares the numbers of its answers with those of the first server.
 * @param numbers reads an answer
 * @returns the greatest difference of each server but the first, by name
 */
export async function differences(
  specs: readonly ContestantSpec[],
  { path = '/predict', type = 'application/json', request }: ModelInput,
  bodies: readonly (string | Uint8Array<ArrayBuffer>)[],
  numbers: (answer: unknown) => readonly number[],
): Promise<ReadonlyMap<string, number>> {
  let first: (readonly number[])[] | undefined;
  const found = new Map<string, number>();
  for (const spec of specs) {
    const server = await startContestant(spec, request);
    try {
      const answers: (readonly number[])[] = [];
      for (const body of bodies) {
        const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
          method: 'POST',
          headers: { 'content-type': type },
          body,
        });
        answers.push(numbers(await response.json()));
      }
      if (first === undefined) first = answers;
      else found.set(spec.name, Math.max(...answers.map((answer, i) => farthest(answer, first![i]!))));
    } finally {
      await server.stop();
    }
  }
  return found;
}

function farthest(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}
