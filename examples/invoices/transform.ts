import { InvalidInput, type Postprocess, type Preprocess } from 'onnx-cloud-run/transform';

/** What the billing system has of an open invoice. */
interface Invoice {
  amount: number;
  issued: string;
  due: string;
  /** The customer's earlier invoices. */
  history?: { due: string; paid: string }[];
}

const DAY_MS = 86_400_000;

/** Days from one date, 2026-03-31, to another. */
function days(from: string, to: string, path: string): number {
  const between = (Date.parse(to) - Date.parse(from)) / DAY_MS;
  if (Number.isFinite(between)) return between;
  throw new InvalidInput(`${path}: expected two dates such as 2026-03-31, got ${from} and ${to}`, path);
}

/** The five features of `features` in export.py. */
export const preprocess: Preprocess<Invoice> = ({ amount, issued, due, history = [] }) => {
  if (!(amount > 0))
    throw new InvalidInput(`features.amount: expected a number above 0, got ${amount}`, 'features.amount');
  const late = history.map((one, i) => Math.max(0, days(one.due, one.paid, `features.history[${i}]`)));
  const share = late.length === 0 ? 0 : late.filter((one) => one > 0).length / late.length;
  const mean = late.length === 0 ? 0 : late.reduce((sum, one) => sum + one, 0) / late.length;
  return { X: [Math.log(amount), days(issued, due, 'features'), late.length, share, mean] };
};

export const postprocess: Postprocess<Invoice> = ({ probabilities }, { body }) => {
  const late = Number(probabilities!.data[1]);
  return { late: Math.round(late * 1000) / 1000, remind: late > 0.5 ? 'before' : 'after', due: body!.due };
};
