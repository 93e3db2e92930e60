import { join } from 'node:path';
import { model, node, value } from '../../functions/onnx/proto/build.ts';
import { createRandom, type Random } from '../fuzz/random.ts';
import { boost, type Ensemble, regress, toAttributes } from './boosting.ts';
import { normal, rounded, writeCsv, writeModel } from './files.ts';

const SEED = 1817;
const FEATURES = ['hour', 'temperature', 'humidity', 'workday'];
/** The rows after them are held out. */
const TRAINING_ROWS = 700;
const HELD_OUT_ROWS = 100;
const GOLDEN_ROWS = 5;
/** The first version knows the first 300 rows; the second knows all, and has more trees. */
const VERSIONS = [
  { version: '1', rows: 300, trees: 12 },
  { version: '2', rows: TRAINING_ROWS, trees: 40 },
] as const;

/**
 * Draws hours of a bicycle rental, trains two versions of a regressor, and writes all.
 * @param folder the model's; each version gets a folder in it
 * @returns the mean absolute errors on the hours that they were not trained on
 */
export function makeRentals(folder: string, csv: string): string {
  const random = createRandom(SEED);
  const hours = Array.from({ length: TRAINING_ROWS + HELD_OUT_ROWS }, () => draw(random));
  const rows = hours.map(({ hour, temperature, humidity, workday }) => [hour, temperature, humidity, workday]);
  const rentals = hours.map((one) => one.rentals);
  writeCsv(csv, hours);
  const errors = VERSIONS.map(({ version, rows: known, trees }) => {
    const ensemble = boost(rows.slice(0, known), rentals.slice(0, known), trees);
    const others = rows.slice(TRAINING_ROWS);
    const differences = others.map((row, i) => Math.abs(regress(ensemble, row) - rentals[TRAINING_ROWS + i]!));
    writeModel(join(folder, version), {
      model: toOnnx(ensemble),
      manifest: {
        description: 'Bicycles that are rented within an hour, by the hour of the day and the weather.',
        input: { features: FEATURES },
        example: { features: { hour: 8, temperature: 18.5, humidity: 60, workday: 1 } },
      },
      golden: others.slice(0, GOLDEN_ROWS).map((row) => {
        return { features: row, outputs: { variable: [rounded(regress(ensemble, row))] } };
      }),
    });
    return (differences.reduce((sum, x) => sum + x, 0) / differences.length).toFixed(1);
  });
  return `rentals: mean absolute error of version 1 ${errors[0]}, of version 2 ${errors[1]}, on ${HELD_OUT_ROWS} other hours`;
}

function draw(random: Random) {
  const hour = random.int(24);
  const temperature = random.int(71) / 2 - 3;
  const humidity = 30 + random.int(66);
  const workday = Number(random.chance(5 / 7));
  const peak = (at: number, width: number) => Math.exp(-(((hour - at) / width) ** 2));
  const demand = workday ? 20 + 260 * peak(8, 1.5) + 300 * peak(17.5, 2) : 20 + 220 * peak(14, 4);
  const weather = Math.min(1, 0.35 + temperature / 30) * (humidity > 85 ? 0.6 : 1);
  const rentals = Math.max(0, Math.round(demand * weather + 8 * normal(random)));
  return { hour, temperature, humidity, workday, rentals };
}

/** As onnxmltools writes an XGBRegressor. */
function toOnnx(ensemble: Ensemble): Uint8Array {
  const [name, domain] = ['TreeEnsembleRegressor', 'ai.onnx.ml'];
  return model({
    name: 'XGBRegressor',
    producer: 'OnnxMLTools',
    opset: 15,
    mlOpset: 3,
    nodes: [node(name, ['X'], ['variable'], toAttributes(ensemble), { name, domain })],
    inputs: [value('X', 'float32', ['None', FEATURES.length])],
    outputs: [value('variable', 'float32', ['None', 1])],
  });
}
