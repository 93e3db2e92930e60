import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parse } from 'yaml';
import { SETTINGS } from '../functions/config/settings.ts';
import { BUILD } from './helpers/google-cloud/cloud-build.ts';
import { section } from './helpers/readme.ts';
import { type Body, checkModule, type Module, parseModule } from './helpers/terraform/check-module.ts';
import type { ProviderSchema } from './helpers/terraform/schema.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const FILES = globSync('deploy/terraform/*.tf', { cwd: ROOT }).sort();
const SCHEMA = JSON.parse(read('test/helpers/terraform/google-schema.json')) as ProviderSchema;

/** The module's files, with one text in place of another. */
const files = (from = '', to = ''): Map<string, string> => {
  const texts = new Map(FILES.map((file) => [file, read(file).replace(from, to)]));
  if (from !== '')
    assert.ok(
      FILES.some((file) => read(file).includes(from)),
      from,
    );
  return texts;
};

let module: Module;
before(async () => {
  module = await parseModule(files());
});

test('every reference of the Terraform module resolves, and every argument is one of the provider', () => {
  assert.ok(Object.keys(module.variable).length > 15);
  assert.deepEqual(checkModule(module, SCHEMA), []);
});

const FAULTS: [title: string, from: string, to: string, finding: RegExp][] = [
  [
    'a misspelt argument',
    'account_id   =',
    'acount_id =',
    /google_service_account\.service\.acount_id: the provider has no/,
  ],
  ['a missing argument', '      image = var.image\n', '', /template\.containers\.image: the provider wants it/],
  ['a misspelt block', 'startup_probe {', 'start_probe {', /template\.containers\.start_probe: the provider has no/],
  [
    'a misspelt dynamic block',
    'dynamic "vpc_access"',
    'dynamic "vpc"',
    /template\.vpc: the provider has no such block/,
  ],
  [
    'a value that the provider gives',
    'display_name = "Builds',
    'email = "Builds',
    /build\.email: is given by the provider/,
  ],
  ['a variable that there is not', 'var.min_instances\n', 'var.least\n', /var\.least: no such variable/],
  ['a local that there is not', 'local.ingress[', 'local.ingres[', /local\.ingres\[.*: no such local/],
  [
    'a resource that there is not',
    'google_service_account.service.member',
    'google_service_account.run.member',
    /no such resource/,
  ],
  [
    'an attribute that there is not',
    'google_cloud_run_v2_service.service.uri',
    'google_cloud_run_v2_service.service.url',
    /has no url/,
  ],
  [
    'a variable that nothing uses',
    'variable "labels"',
    'variable "more" {}\n\nvariable "labels"',
    /var\.more: nothing uses it/,
  ],
];

for (const [title, from, to, finding] of FAULTS) {
  test(`the check of the module finds ${title}`, async () => {
    const found = checkModule(await parseModule(files(from, to)), SCHEMA);
    assert.ok(
      found.some((one) => finding.test(one)),
      found.join('\n'),
    );
  });
}

test('the schema is of the least provider that the module takes, and Terraform and provider have bounds', () => {
  const [{ required_version, required_providers }] = module.terraform as [Body];
  assert.match(required_version as string, /^>= \d+\.\d+, < \d+\.0$/);
  const [{ google }] = required_providers as [{ google: { source: string; version: string } }];
  const [, least] = /^>= (\d+\.\d+), < \d+\.0$/.exec(google.version) ?? [];
  assert.equal(SCHEMA.provider, `registry.terraform.io/${google.source} ${least}.0`);
});

test('every variable and every output is described, and a variable has a type', () => {
  for (const [name, [body]] of [...Object.entries(module.variable), ...Object.entries(module.output)])
    assert.ok(String(body?.description).length > 10, name);
  for (const [name, [body]] of Object.entries(module.variable)) assert.ok(body?.type !== undefined, name);
});

test('the README lists every variable and every output', () => {
  const page = read('deploy/terraform/README.md');
  for (const name of [...Object.keys(module.variable), ...Object.keys(module.output)])
    assert.ok(page.includes(`\`${name}\``), name);
});

test('every setting that the module, its tests or its README name is one of the server', () => {
  const pages = [...FILES, 'deploy/terraform/README.md', 'deploy/terraform/tests/module.tftest.hcl']
    .map(read)
    .join('\n');
  const named = new Set(Array.from(pages.matchAll(/(?<![\w<"-])([A-Z][A-Z0-9_]{3,})\s+= /g), ([, name]) => name!));
  assert.ok(named.has('MODEL_URI') && named.has('REDIS_URL'));
  assert.deepEqual(
    [...named].filter((name) => !(name in SETTINGS)),
    [],
  );
});

test('the substitutions of the trigger are some of cloudbuild.yaml', () => {
  const text = read('deploy/terraform/trigger.tf');
  const named = Array.from(text.matchAll(/^\s+(_[A-Z_]+)\s+=/gm), ([, name]) => name!);
  assert.ok(named.length > 3);
  assert.deepEqual(
    named.filter((name) => !(name in BUILD.substitutions)),
    [],
  );
});

test("the build's account has the roles that docs/deploy/cloud-build.md gives it", () => {
  const roles = (text: string): string[] =>
    [...new Set(Array.from(text.matchAll(/roles\/[A-Za-z.]+[A-Za-z]/g), ([role]) => role))].sort();
  assert.deepEqual(
    roles(read('deploy/terraform/trigger.tf')),
    roles(section('docs/deploy/cloud-build.md', 'Accounts')),
  );
});

test('the service has the settings of service.yaml', () => {
  const [{ template }] = module.resource.google_cloud_run_v2_service!.service as unknown as [{ template: [Body] }];
  const [container] = template[0].containers as [Record<string, [Record<string, unknown>]>];
  const { metadata, spec } = parse(read('service.yaml')).spec.template;
  const [own] = spec.containers;
  // biome-ignore lint/suspicious/noExplicitAny: YAML of many shapes.
  const snake = ({ httpGet, periodSeconds, timeoutSeconds, failureThreshold }: any) => ({
    period_seconds: periodSeconds,
    timeout_seconds: timeoutSeconds,
    failure_threshold: failureThreshold,
    http_get: [httpGet],
  });
  assert.deepEqual(container.startup_probe, [snake(own.startupProbe)]);
  assert.deepEqual(container.liveness_probe, [snake(own.livenessProbe)]);
  assert.deepEqual(container.ports, [{ name: own.ports[0].name, container_port: own.ports[0].containerPort }]);
  assert.equal(template[0].max_instance_request_concurrency, spec.containerConcurrency);
  assert.equal(template[0].timeout, `${spec.timeoutSeconds}s`);
  assert.equal(template[0].execution_environment, 'EXECUTION_ENVIRONMENT_GEN2');
  assert.equal(container.resources![0].startup_cpu_boost, true);
  const defaults = Object.fromEntries(Object.entries(module.variable).map(([name, [body]]) => [name, body!.default]));
  assert.deepEqual(
    [`${defaults.cpu}`, `${defaults.memory}Gi`],
    [own.resources.limits.cpu, own.resources.limits.memory],
  );
  const scale = (which: string): number => Number(metadata.annotations[`autoscaling.knative.dev/${which}Scale`]);
  assert.deepEqual([defaults.min_instances, defaults.max_instances], [scale('min'), scale('max')]);
});
