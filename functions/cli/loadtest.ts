import type { Command } from 'commander';
import type { LoadTestOptions } from './loadtest/load-test.ts';
import {
  readArrivals,
  readConnections,
  readCount,
  readDuration,
  readFormat,
  readMaxConnections,
  readRate,
  readSlo,
  readThreads,
  readTolerance,
} from './loadtest/options.ts';
import type { Verb } from './verb.ts';

const HELP = `
Without --rate it is a closed loop: each connection sends its next request when
the response to the last has arrived. With --rate it is an open loop: requests
begin at the times of the rate, whatever the responses, and a latency counts
from that time. Levels are a number, a ramp 10..100, or steps 10,20,50.

Requests go to the host of the URL alone; redirects are not followed.

Examples:
  onnx-cloud-run loadtest http://localhost:8080
  onnx-cloud-run loadtest http://localhost:8080 --connections 1,4,16,64 --duration 40s
  onnx-cloud-run loadtest http://localhost:8080 --rate 500 --slo p99=50ms,errors=0.1%
  onnx-cloud-run loadtest http://localhost:8080 --find-capacity --slo p99=50ms --html report.html
  onnx-cloud-run loadtest https://iris-abc-ew.a.run.app --identity-token --rows rows.csv
  onnx-cloud-run loadtest http://localhost:8080 --format oip-binary --batch 32

Exit codes: 0 if the objectives of --slo are met, or else if a request was
successful; 1 if not, 2 for wrong usage, 130 after Ctrl-C.`;

/** `onnx-cloud-run loadtest URL`: what a server holds. */
export const loadtest: Verb = {
  name: 'loadtest',
  summary: 'measure what a running server holds under load',
  add(command) {
    command.argument('<url>', 'of the server; with a path, requests go there');
    addRequests(command);
    addLoad(command);
    command
      .option('--slo <objectives>', 'limits such as p99=50ms,errors=0.1%,rate=1000: they decide the exit code', readSlo)
      .option('--find-capacity', 'search the highest rate that meets --slo: --rate is the first one')
      .option('--within <time>', 'longest time of the search', readDuration(1), 120)
      .option('--html <file>', 'write a report as one HTML file')
      .option('--json', 'print the result as JSON')
      .addHelpText('after', HELP)
      .action(async (url: string, options: LoadTestOptions & { readonly json?: boolean }) => {
        const [{ reportVerb }, { runLoadTest }] = await Promise.all([
          import('./terminal/reporting.ts'),
          import('./loadtest/load-test.ts'),
        ]);
        await reportVerb(command, options, (context) => runLoadTest(url, options, context));
      });
  },
};

function addRequests(command: Command): void {
  command
    .option('--format <name>', 'native, oip, oip-binary, tensorflow or vertex', readFormat, 'native')
    .option('--model <name>', 'the model (default: the one behind /predict)')
    .option('--rows <file>', "CSV, NDJSON, golden.json or model.json (default: the model's example, else zeros)")
    .option('--batch <rows>', 'rows in a request', readCount(1, 4096), 1)
    .option('--body <file>', 'send this file to the path of the URL, as it is')
    .option('--content-type <type>', 'of --body', 'application/json')
    .option('--check', 'compare the outputs with those of a golden.json (default: golden rows of the server)')
    .option('--tolerance <number>', 'of --check, relative to values above 1', readTolerance, 1e-4)
    .option('--token <token>', 'bearer token')
    .option('--token-file <file>', 'file with the bearer token')
    .option('--identity-token [audience]', 'send an identity token of Google (default audience: the URL)')
    .option('--ca <file>', 'trust the certificates of this PEM file');
}

function addLoad(command: Command): void {
  command
    .option('-c, --connections <levels>', 'closed loop: connections (default: 16)', readConnections)
    .option('-r, --rate <levels>', 'open loop: requests per second', readRate)
    .option('--arrivals <kind>', 'of an open loop: poisson or constant', readArrivals, 'poisson')
    .option('--max-connections <count>', 'of an open loop', readMaxConnections, 512)
    .option('-d, --duration <time>', 'at most 1h (default: 10s, for each rate of a search 5s)', readDuration(0.1))
    .option('-n, --requests <count>', 'end after so many requests', readCount(0, 1e9), 0)
    .option('--warm-up <time>', 'not measured', readDuration(0), 1)
    .option('--timeout <time>', 'longest wait for a response', readDuration(0.01), 30)
    .option('--retry-after', 'send requests that are refused with 429 or 503 again after Retry-After')
    .option('--threads <count>', 'of the generator', readThreads, 1)
    .option('--seed <number>', 'of Poisson arrivals', readCount(0, 999_999_999), 1);
}
