/**
 * Makes the models of examples/: `model.onnx`, `model.json` and `golden.json`, and the data that they are trained on. Each has the graph
 * that the exporter of its `export.py` writes. Every run on every machine gives the same bytes.
 *
 *   node scripts/examples.ts [folder, examples unless given]
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeChurn } from './examples/churn.ts';
import { makeDigits, trainDigits } from './examples/digits.ts';
import { makeImageClassifier } from './examples/image-classifier.ts';
import { makeInvoices } from './examples/invoices.ts';
import { makeRentals } from './examples/rentals.ts';

const USAGE = `usage: node scripts/examples.ts [FOLDER]

Trains the models of the examples, and writes them and their data below FOLDER (examples).`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' } },
});
if (values.help) {
  console.log(USAGE);
  process.exit();
}
const folder = resolve(positionals[0] ?? join(import.meta.dirname, '../examples'));
console.log(makeChurn(join(folder, 'churn')));
const digits = trainDigits();
console.log(makeDigits(join(folder, 'digits'), digits));
console.log(makeImageClassifier(join(folder, 'image-classifier'), digits));
console.log(makeInvoices(join(folder, 'invoices')));
console.log(makeRentals(join(folder, 'bucket-versions/rentals'), join(folder, 'bucket-versions/rentals.csv')));
