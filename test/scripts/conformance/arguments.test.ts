import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readArguments } from '../../../scripts/conformance/arguments.ts';

const URL = 'http://localhost:8080';

test('--fixture is about the server of a URL, or writes into a folder', () => {
  const server = readArguments([`${URL}/`, '--fixture', '--pid', '12', '--limit', '1000']);
  assert.deepEqual(
    [server.url, server.folder, server.fixture, server.pid, server.limitBytes],
    [URL, undefined, true, 12, 1000],
  );
  const folder = readArguments(['--fixture', 'models']);
  assert.deepEqual([folder.url, folder.folder], [undefined, 'models']);
});

test('--start has the models, and sees the server from its start on', () => {
  const { url, start, fixture, fresh } = readArguments(['--start']);
  assert.deepEqual([url, start, fixture, fresh], [undefined, true, true, true]);
});

test('headers and numbers of checks are read', () => {
  const { headers, only } = readArguments([
    URL,
    '--header',
    'Authorization: Bearer a:b',
    '--header',
    'X: ',
    '--only',
    '1,31',
  ]);
  assert.deepEqual([headers, only], [{ Authorization: 'Bearer a:b', X: '' }, [1, 31]]);
});

test('an invalid argument is named', () => {
  const cases: [string[], RegExp][] = [
    [[], /expected a URL with http:\/\/ or https:\/\/, got none/],
    [['localhost:8080'], /got localhost:8080/],
    [[URL, URL], /expected one URL or folder/],
    [['--start', URL], /--start takes no URL/],
    [[URL, '--pid', 'x'], /--pid takes an integer above 0, got x/],
    [[URL, '--only', '1,x'], /--only takes an integer above 0, got x/],
    [[URL, '--host-kind', 'vm'], /--host-kind takes container or functions, got vm/],
    [[URL, '--header', 'x'], /--header takes 'NAME: TEXT', got x/],
    [[URL, '--fresh'], /--fresh needs --model or --fixture/],
    [[URL, '--nothing'], /--nothing/],
  ];
  for (const [args, message] of cases) assert.throws(() => readArguments(args), message);
});
