import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { blocks, readPage } from '../helpers/readme.ts';
import { type Provider, startProvider } from '../helpers/terraform/provider.ts';
import { ROOT, run } from './program.ts';

/** The real Terraform, with a provider that knows the schema of Google's: nothing is fetched, and nothing is created. */
const MODULE = join(ROOT, 'deploy/terraform');

let folder: string;
let provider: Provider;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'terraform-'));
  const schema = JSON.parse(readFileSync(join(ROOT, 'test/helpers/terraform/google-schema.json'), 'utf8'));
  provider = await startProvider(schema, join(folder, 'provider.sock'));
});
after(async () => {
  await provider.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  rmSync(join(folder, 'work'), { recursive: true, force: true });
  cpSync(MODULE, join(folder, 'work/deploy/terraform'), { recursive: true });
});

/** Runs Terraform in a folder of the copy. */
function terraform(where: string, ...args: string[]) {
  const env = { ...provider.env, CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1', TF_CLI_CONFIG_FILE: '/dev/null' };
  return run('terraform', [`-chdir=${join(folder, 'work', where)}`, ...args, '-no-color'], env);
}

async function validate(where: string) {
  const { code, stderr } = await terraform(where, 'init', '-input=false', '-backend=false');
  assert.equal(code, 0, stderr);
  return terraform(where, 'validate');
}

test('the files of the module have the format of terraform fmt', async () => {
  const { code, stdout, stderr } = await run('terraform', ['fmt', '-check', '-diff', '-recursive', MODULE]);
  assert.equal(code, 0, stdout + stderr);
});

test('the module is valid', async () => {
  const { code, stderr } = await validate('deploy/terraform');
  assert.equal(code, 0, stderr);
});

test('the example of the README is valid', async () => {
  const [example] = blocks(readPage('deploy/terraform/README.md')).filter(({ language }) => language === 'hcl');
  writeFileSync(join(folder, 'work/main.tf'), example!.text);
  const { code, stderr } = await validate('.');
  assert.equal(code, 0, stderr);
});

for (const [title, from, to, message] of [
  [
    'an argument that the provider does not have',
    'container_port =',
    'port =',
    /An argument named "port" is not expected here/,
  ],
  ['a value of another type', 'period_seconds    = 1\n', 'period_seconds = "often"\n', /a number is required/],
  [
    'a missing block',
    /ports \{[^}]*\}\n\n/,
    'liveness_probes {}\n',
    /Blocks of type "liveness_probes" are not expected/,
  ],
  [
    'a reference to nothing',
    'var.memory}Gi',
    'var.ram}Gi',
    /An input variable with the name "ram" has not been declared/,
  ],
] as const) {
  test(`Terraform finds ${title}`, async () => {
    const file = join(folder, 'work/deploy/terraform/main.tf');
    const text = readFileSync(file, 'utf8');
    const changed = text.replace(from, to);
    assert.notEqual(changed, text);
    writeFileSync(file, changed);
    const { code, stderr } = await validate('deploy/terraform');
    assert.equal(code, 1);
    assert.match(stderr.replaceAll(/\s+/g, ' '), message);
  });
}

test('the tests of the module pass: what it creates, and what its variables refuse', async () => {
  await validate('deploy/terraform');
  const { code, stdout, stderr } = await terraform('deploy/terraform', 'test');
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /Success! 5 passed, 0 failed/);
});

test('a module that gives callers on the internet leave fails its tests', async () => {
  const file = join(folder, 'work/deploy/terraform/variables.tf');
  writeFileSync(
    file,
    readFileSync(file, 'utf8')
      .replace('(user|serviceAccount|', '(allUsers|user|serviceAccount|')
      .replace(':.+$", member', '", member'),
  );
  await validate('deploy/terraform');
  const { code, stderr } = await terraform('deploy/terraform', 'test');
  assert.equal(code, 1);
  assert.match(stderr, /var\.invokers, was expected to report an error but did/);
});
