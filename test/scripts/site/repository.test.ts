import assert from 'node:assert/strict';
import { test } from 'node:test';
import { repositoryUrl } from '../../../scripts/site/repository.ts';

const CASES: [title: string, ...Parameters<typeof repositoryUrl>, expected: string][] = [
  [
    'of the workflow that runs, before all',
    { GITHUB_REPOSITORY: 'a/b' },
    { repository: 'github:c/d' },
    'https://github.com/a/b',
  ],
  [
    'of the workflow, on another server',
    { GITHUB_REPOSITORY: 'a/b', GITHUB_SERVER_URL: 'https://git.example.com' },
    {},
    'https://git.example.com/a/b',
  ],
  [
    'of package.json, as npm writes it',
    {},
    { repository: { url: 'git+https://github.com/a/b.git' } },
    'https://github.com/a/b',
  ],
  ['of package.json, in short', {}, { repository: 'github:a/b' }, 'https://github.com/a/b'],
  ['that is nowhere, as a placeholder', {}, {}, 'https://github.com/OWNER/onnx-cloud-run'],
];

for (const [title, env, project, expected] of CASES) {
  test(`the address of the repository: ${title}`, () => assert.equal(repositoryUrl(env, project), expected));
}
