import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { repositoryUrl } from '../scripts/site/repository.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

interface IssueForm {
  readonly name: string;
  readonly description: string;
  readonly labels: readonly string[];
  readonly body: readonly {
    readonly type: string;
    readonly id?: string;
    readonly attributes: {
      readonly label?: string;
      readonly description?: string;
      readonly options?: readonly string[];
    };
    readonly validations?: { readonly required: boolean };
  }[];
}

const FORMS = globSync('.github/ISSUE_TEMPLATE/*.yml', { cwd: ROOT }).sort();

test('an issue is a bug or a feature; questions and vulnerabilities have another place', () => {
  assert.deepEqual(
    FORMS,
    ['bug', 'config', 'feature'].map((name) => `.github/ISSUE_TEMPLATE/${name}.yml`),
  );
  const { blank_issues_enabled: blank, contact_links: links } = parse(read('.github/ISSUE_TEMPLATE/config.yml'));
  assert.equal(blank, false);
  assert.deepEqual(
    links.map(({ name }: { name: string }) => name),
    ['Question', 'Vulnerability'],
  );
});

test('each issue form has a label, and fields with ids of their own; each required one says what it takes', () => {
  for (const file of FORMS.filter((path) => !path.endsWith('config.yml'))) {
    const { name, description, labels, body } = parse(read(file)) as IssueForm;
    assert.ok(name && description && labels.length === 1, file);
    const fields = body.filter(({ type }) => type !== 'markdown');
    const ids = fields.map(({ id }) => id);
    assert.ok(ids.every((id) => /^[a-z]+$/.test(id ?? '')) && new Set(ids).size === ids.length, file);
    for (const { type, attributes } of fields) {
      assert.ok(['input', 'textarea', 'dropdown'].includes(type), type);
      assert.ok(
        attributes.label && (type === 'dropdown' ? attributes.options!.length > 1 : attributes.description),
        file,
      );
    }
    assert.ok(fields.some(({ validations }) => validations?.required));
  }
});

test('the forms have the address of the repository, and the pages that they name exist', () => {
  const repository = repositoryUrl({}, JSON.parse(read('package.json')));
  const addresses = FORMS.flatMap((file) => read(file).match(/https:\/\/github\.com\/[^\s)]+/g) ?? []);
  assert.ok(addresses.length >= 3);
  for (const address of addresses) {
    assert.ok(address.startsWith(`${repository}/`), `${address} is not below ${repository}`);
    const [, path] = /\/blob\/main\/(.*)$/.exec(address) ?? [];
    if (path !== undefined) assert.ok(existsSync(join(ROOT, path)), path);
  }
});

test('the template of a pull request names commands that exist', () => {
  const text = read('.github/pull_request_template.md');
  const { scripts } = JSON.parse(read('package.json')) as { scripts: object };
  for (const [, script] of text.matchAll(/npm run ([\w-]+)/g)) assert.ok(script! in scripts, script);
  assert.match(text, /a test whose title states the promise/);
});
