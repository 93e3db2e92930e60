/** A binary classifier: the probability of class 1 is the logistic function of `weights` · x + `intercept`. */
export interface Logistic {
  readonly weights: readonly number[];
  readonly intercept: number;
}

const STEPS = 25;

/**
 * Logistic regression by Newton's method, with an L2 penalty of 1 on the weights but not on the intercept: the minimum that
 * scikit-learn's LogisticRegression finds with C = 1.
 * @param rows features; @param classes 0 or 1 for each row
 */
export function fitLogistic(rows: readonly (readonly number[])[], classes: readonly number[]): Logistic {
  const size = rows[0]!.length + 1;
  const extended = rows.map((row) => [...row, 1]);
  let parameters: number[] = Array(size).fill(0);
  for (let step = 0; step < STEPS; step++) {
    const gradient = parameters.map((x, i) => (i < size - 1 ? x : 0));
    const hessian = parameters.map((_, i) => parameters.map((_, j) => Number(i === j && i < size - 1)));
    for (const [index, row] of extended.entries()) {
      const p = sigmoid(dot(parameters, row));
      const error = p - classes[index]!;
      for (let i = 0; i < size; i++) {
        gradient[i]! += error * row[i]!;
        for (let j = 0; j < size; j++) hessian[i]![j]! += p * (1 - p) * row[i]! * row[j]!;
      }
    }
    const change = solve(hessian, gradient);
    parameters = parameters.map((x, i) => x - change[i]!);
  }
  return { weights: parameters.slice(0, -1), intercept: parameters.at(-1)! };
}

/** The probability of class 1. */
export const probability = ({ weights, intercept }: Logistic, row: readonly number[]): number =>
  sigmoid(dot(weights, row) + intercept);

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** The solution of a system of equations with a positive definite matrix, by elimination. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const table = matrix.map((row, i) => [...row, right[i]!]);
  const size = table.length;
  for (let i = 0; i < size; i++) {
    for (let below = i + 1; below < size; below++) {
      const factor = table[below]![i]! / table[i]![i]!;
      for (let j = i; j <= size; j++) table[below]![j]! -= factor * table[i]![j]!;
    }
  }
  const solution: number[] = Array(size).fill(0);
  for (let i = size - 1; i >= 0; i--) {
    const known = solution.reduce((sum, x, j) => (j > i ? sum + x * table[i]![j]! : sum), 0);
    solution[i] = (table[i]![size]! - known) / table[i]![i]!;
  }
  return solution;
}
