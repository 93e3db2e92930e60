import { carriesRows, mixed, type Operation, ofConstants, type Rule, type Rules } from '../values/operation.ts';

/** Operators in which rows always influence each other, or whose results do not follow them, with the reason. */
const FROM_ROWS: Readonly<Record<string, string>> = {
  MaxRoiPool: 'its result has a row for each region, not for each input row',
  MaxUnpool: 'its indices count from the first row of the run',
  NonMaxSuppression: 'its result has the selected boxes of all rows, and their number depends on the data',
  NonZero: 'how many entries it gives depends on the data',
  RoiAlign: 'its result has a row for each region, not for each input row',
  Unique: 'it compares the rows, and how many entries it gives depends on the data',
  'com.microsoft.RemovePadding': 'it concatenates the rows without their padding',
  'com.microsoft.PackedAttention': 'it takes concatenated rows without their padding',
  'com.microsoft.PackedMultiHeadAttention': 'it takes concatenated rows without their padding',
};

/** Operators with random results: a row would get other numbers in a batch than alone. */
const RANDOM = ['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'];

const fromRows = (reason: string): Rule => ({
  apply: (operation: Operation) =>
    operation.inputs.some(carriesRows) ? mixed(operation, reason) : ofConstants(operation),
});
const random: Rule = { apply: (operation) => mixed(operation, 'its values are random') };

/** Rules of the operators in which rows influence each other, or whose results are random. */
export const MIXING: Rules = {
  ...Object.fromEntries(Object.entries(FROM_ROWS).map(([type, reason]) => [type, fromRows(reason)])),
  ...Object.fromEntries(RANDOM.map((type) => [type, random])),
};
