/**
 * `npm run audit`: fails if npm's registry knows an advisory of severity high or critical for a package that is shipped: one of production,
 * or one that the pages bundle. Advisories of other packages, and less severe ones, are printed. A registry
 * that does not answer, as mirrors without the audit endpoint do, is reported.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_PACKAGES } from './browser-assets.ts';
import { readCommandLine, refuseUsage } from './command-line.ts';

const ROOT = join(import.meta.dirname, '..');
const SEVERITIES = ['info', 'low', 'moderate', 'high', 'critical', 'none'];
/** Two attempts of npm, of 30 s each at most. */
const FETCH = ['--fetch-retries=1', '--fetch-timeout=30000'];
const BOUND_MS = 120_000;

/** What `npm audit --json` writes: vulnerabilities by package, or what went wrong. */
interface AuditReport {
  readonly auditReportVersion?: number;
  readonly vulnerabilities?: Readonly<Record<string, Vulnerability>>;
  readonly message?: string;
  readonly error?: { readonly summary?: string };
}

interface Vulnerability {
  /** Its folders in the lock file. */
  readonly nodes: readonly string[];
  /** Its own advisories, and the names of vulnerable packages that it depends on. */
  readonly via: readonly (string | Advisory)[];
}

interface Advisory {
  readonly title: string;
  readonly url: string;
  readonly severity: string;
  readonly range: string;
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}

const USAGE = `npm run audit: fails if npm's registry knows a severe advisory for a package that is shipped.

Usage: npm run audit [-- OPTIONS]

  --level LEVEL   the least severity that fails: ${SEVERITIES.join(', ')}; default: high
  --require       fails, too, if the registry does not answer

Examples:
  npm run audit
  npm run audit -- --level moderate --require`;

const { values } = readCommandLine(USAGE, {
  level: { type: 'string', default: 'high' },
  require: { type: 'boolean', default: false },
});
if (!SEVERITIES.includes(values.level))
  refuseUsage(`--level is ${values.level}: expected one of ${SEVERITIES.join(', ')}`);

const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
const report = readReport();
if (report.auditReportVersion === undefined) {
  const why = report.message || report.error?.summary || 'npm gave no reason';
  console.log(`NOT CHECKED: the registry did not answer npm audit: ${why}`);
  if (values.require) process.exitCode = 1;
} else checkReport(report.vulnerabilities ?? {});

function readReport(): AuditReport {
  const args = ['audit', '--json', ...FETCH];
  const { stdout, stderr, error } = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8', timeout: BOUND_MS });
  try {
    return JSON.parse(stdout) as AuditReport;
  } catch {
    return { message: error?.message ?? stderr.trim().split('\n').at(-1) ?? '' };
  }
}

function checkReport(vulnerabilities: NonNullable<AuditReport['vulnerabilities']>): void {
  for (const [name, { nodes, via }] of Object.entries(vulnerabilities)) {
    const shipped = PAGE_PACKAGES.includes(name) || nodes.some((node) => packages[node]?.dev !== true);
    for (const { severity, title, url, range } of via.filter((one) => typeof one === 'object')) {
      const fails = shipped && SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(values.level);
      if (fails) process.exitCode = 1;
      const use = shipped ? 'shipped' : 'development';
      console.log(`${fails ? 'FAILED' : 'note  '}  ${name} ${range} (${use}), ${severity}: ${title} ${url}`);
    }
  }
  const number = Object.keys(packages).length - 1;
  console.log(`${number} packages checked: ${process.exitCode === 1 ? 'update those above' : 'ok'}`);
}
