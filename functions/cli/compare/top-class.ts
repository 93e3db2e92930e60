import { type Signature, type Tensor, type TensorSpec, valuesOf } from '../../tensor/tensor.ts';

/** The output of a classifier that has the class of a row. */
export interface ClassOutput {
  readonly name: string;
  /** `label`: the class itself. `scores`: a number for each class. */
  readonly kind: 'label' | 'scores';
}

/**
 * The output that has the class of a row: the main one if it has; else the first with one integer or text for each row; else the first
 * with a row of floating-point numbers, [rows, classes]. Undefined for a model that has none, which is no classifier.
 * @param main the name of the main output, from model.json
 */
export function findClassOutput({ outputs }: Signature, main: string | undefined): ClassOutput | undefined {
  const candidates = outputs.flatMap((spec) => {
    const kind = kindOf(spec);
    return kind === undefined ? [] : [{ name: spec.name, kind }];
  });
  return (
    candidates.find(({ name }) => name === main) ??
    candidates.find(({ kind }) => kind === 'label') ??
    candidates.find(({ kind }) => kind === 'scores')
  );
}

function kindOf({ dtype, shape, anyRank }: TensorSpec): ClassOutput['kind'] | undefined {
  if (anyRank === true || dtype === 'bool') return undefined;
  const [, second] = shape;
  if (dtype.startsWith('float')) return shape.length === 2 && second !== 1 ? 'scores' : undefined;
  return shape.length === 1 || (shape.length === 2 && second === 1) ? 'label' : undefined;
}

/** The class of each row of an output: its label, or the index of its largest score, the first of equal ones. */
export function classesOf(tensor: Tensor, kind: ClassOutput['kind']): (number | bigint | string)[] {
  const values = Array.from<number | bigint | string>(valuesOf(tensor));
  if (kind === 'label') return values;
  const columns = tensor.dims.at(-1) ?? 1;
  return Array.from({ length: values.length / columns }, (_, row) => {
    const scores = values.slice(row * columns, (row + 1) * columns) as number[];
    return scores.indexOf(Math.max(...scores));
  });
}
