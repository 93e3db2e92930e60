import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sidebarOf } from '../../../scripts/site/sidebar.ts';
import { DOCUMENTATION, readPage } from '../../helpers/readme.ts';

const README = `# Name

**Fast.** Text with a [link](docs/faq.md).

## Documentation

- **Start**: [tutorial](docs/tutorial.md) · [page
  in the browser](docs/page.md#a-file) · [iris](models/iris/README.md)
- **Others**: [host](https://example.com)
- **Examples**: [churn](examples/churn/README.md)

[CHANGELOG](CHANGELOG.md)
`;

test('the groups and pages are those of README, in its order, under the titles of the pages', () => {
  const read = (path: string): string => `# Title of ${path}\n\nText.\n\n# Another\n`;
  assert.deepEqual(sidebarOf(`${README}\n## More\n\n**Bold** [faq](docs/faq.md)\n`, read), [
    {
      text: 'Start',
      items: [
        { text: 'Title of docs/tutorial.md', link: '/tutorial.md' },
        { text: 'Title of docs/page.md', link: '/page.md' },
      ],
    },
    { text: 'Examples', items: [{ text: 'Title of examples/churn/README.md', link: '/examples/churn.md' }] },
  ]);
});

test('a README without the section, or with a page before the first group, is refused', () => {
  assert.throws(() => sidebarOf('# Name\n', () => ''), /expected a section "## Documentation"/);
  assert.throws(
    () => sidebarOf('## Documentation\n\n[faq](docs/faq.md)\n', () => ''),
    /name of a group, in bold, before docs\/faq\.md/,
  );
});

test('every page of docs/ is in the navigation once', () => {
  const links = sidebarOf(readPage('README.md'), readPage).flatMap(({ items }) => items.map(({ link }) => link));
  const pages = DOCUMENTATION.filter((path) => path !== 'README.md').map((path) => path.replace(/^docs/, ''));
  assert.deepEqual(links.filter((link) => !link.startsWith('/examples/')).sort(), pages.toSorted());
});
