import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anchorOf, isPage, routeOf } from '../../../scripts/site/pages.ts';
import { anchorsOf, PAGES, readPage, withoutBlocks } from '../../helpers/readme.ts';

test('README is the first page, docs/ is the root, an example is a page', () => {
  const pages = ['README.md', 'docs/faq.md', 'docs/models/batching.md', 'examples/churn/README.md'];
  assert.ok(pages.every(isPage));
  assert.deepEqual(pages.map(routeOf), ['index.md', 'faq.md', 'models/batching.md', 'examples/churn.md']);
  assert.deepEqual(['CHANGELOG.md', 'k8s/README.md', 'docs/package.json', 'models/iris/README.md'].filter(isPage), []);
});

test('anchors are those of GitHub, for every heading of the pages', () => {
  for (const page of PAGES) {
    const headings = Array.from(withoutBlocks(readPage(page)).matchAll(/^#+ (.+)$/gm), ([, heading]) => heading!);
    const counted = anchorsOf(page).map((anchor, i) => (headings.indexOf(headings[i]!) === i ? anchor : undefined));
    for (const [i, anchor] of counted.entries()) if (anchor !== undefined) assert.equal(anchorOf(headings[i]!), anchor);
  }
});
