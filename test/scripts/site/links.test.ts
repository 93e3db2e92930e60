import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { linkTarget, pictureSource } from '../../../scripts/site/links.ts';

const root = join(import.meta.dirname, '../../..');
const repository = 'https://github.com/some/where';

const LINKS: [title: string, page: string, target: string, expected: string][] = [
  ['another page', 'docs/models/folder.md', '../operate/settings.md', '/operate/settings.md'],
  ['a heading of another page', 'docs/tutorial.md', 'models/folder.md#modeljson', '/models/folder.md#modeljson'],
  ['a page from README', 'README.md', 'docs/tutorial.md', '/tutorial.md'],
  ['README', 'docs/tutorial.md', '../README.md', '/index.md'],
  ['an example', 'README.md', 'examples/churn/README.md', '/examples/churn.md'],
  ['a page from an example', 'examples/churn/README.md', '../../docs/page.md', '/page.md'],
  [
    'a page that is not in the site',
    'docs/deploy/gke.md',
    '../../k8s/README.md',
    `${repository}/blob/main/k8s/README.md`,
  ],
  [
    'a heading of it',
    'docs/architecture.md',
    '../CONTRIBUTING.md#rooms',
    `${repository}/blob/main/CONTRIBUTING.md#rooms`,
  ],
  ['a file', 'docs/deploy/cloud-run.md', '../../service.yaml', `${repository}/blob/main/service.yaml`],
  ['a file of an example', 'examples/churn/README.md', 'export.py', `${repository}/blob/main/examples/churn/export.py`],
  [
    'a folder',
    'examples/bucket-versions/README.md',
    'rentals/1',
    `${repository}/tree/main/examples/bucket-versions/rentals/1`,
  ],
  [
    'a page of the repository on GitHub',
    'README.md',
    '../../actions/workflows/ci.yml',
    `${repository}/actions/workflows/ci.yml`,
  ],
  ['a heading of the same page', 'docs/tutorial.md', '#steps', '#steps'],
  ['another host', 'docs/tutorial.md', 'https://example.com/a.md', 'https://example.com/a.md'],
  ['a mail address', 'docs/tutorial.md', 'mailto:a@example.com', 'mailto:a@example.com'],
];

for (const [title, page, target, expected] of LINKS) {
  test(`a link to ${title}: ${target} of ${page} leads to ${expected}`, () => {
    assert.equal(linkTarget(target, { root, repository, page }), expected);
  });
}

test('a picture of the repository is found from its page, another stays', () => {
  const source = (page: string, path: string): string => pictureSource(path, { root, repository, page });
  assert.equal(source('README.md', 'docs/pictures/page-dark.png'), './docs/pictures/page-dark.png');
  assert.equal(source('docs/page.md', './pictures/page-light.png'), './pictures/page-light.png');
  assert.equal(
    source('README.md', '../../actions/workflows/ci.yml/badge.svg'),
    `${repository}/actions/workflows/ci.yml/badge.svg`,
  );
  assert.equal(source('README.md', 'https://example.com/badge.svg'), 'https://example.com/badge.svg');
});
