import { carriesRows, mixed, type Operation, ofConstants, type Rule, type Rules } from '../values/operation.ts';

/** Operators that never keep rows apart, and what they do. */
const FROM_ROWS: Readonly<Record<string, string>> = {
  MaxRoiPool: 'its result has a row for each region, not for each row fed',
  MaxUnpool: 'its indices count from the first row of the run',
  NonMaxSuppression: 'how many boxes it keeps depends on the data, and they are those of all rows',
  NonZero: 'how many entries it gives depends on the data',
  RoiAlign: 'its result has a row for each region, not for each row fed',
  Unique: 'it compares the rows, and how many entries it gives depends on the data',
  'com.microsoft.RemovePadding': 'it puts the rows one behind the other without their padding',
  'com.microsoft.PackedAttention': 'it takes rows that lie one behind the other without their padding',
  'com.microsoft.PackedMultiHeadAttention': 'it takes rows that lie one behind the other without their padding',
};

/** Operators that give other numbers in each run: a row would not get the same ones beside others as alone. */
const RANDOM = ['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'];

const fromRows = (reason: string): Rule => ({
  apply: (operation: Operation) =>
    operation.inputs.some(carriesRows) ? mixed(operation, reason) : ofConstants(operation),
});
const random: Rule = { apply: (operation) => mixed(operation, 'its values are random') };

export const MIXING: Rules = {
  ...Object.fromEntries(Object.entries(FROM_ROWS).map(([type, reason]) => [type, fromRows(reason)])),
  ...Object.fromEntries(RANDOM.map((type) => [type, random])),
};
