import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  checkCatalogUrl,
  checkZaqarUrl,
  readWorkbooks,
  workbookOf,
} from '../../../../functions/command-line/install/workbooks.ts';

const SOURCE = `---
# Stays.
version: '2.0'
name: ekko.backup.v1
actions:
  call:
    input: [url]
    base: std.http
workflows:
  run:
    input:
      - policy
      - catalog: https://catalog.invalid
      - mail_server: ''
    tasks:
      ask:
        action: call
        input:
          url: <% $.catalog %>
`;

describe('workbooks', () => {
  test('get the places of this cloud as defaults of their inputs, and stay as they are otherwise', () => {
    const { name, text, workflows, actions } = workbookOf(SOURCE, { catalog: 'https://ekko.example.org: "x"' });
    expect([name, workflows, actions]).toEqual(['ekko.backup.v1', ['ekko.backup.v1.run'], ['ekko.backup.v1.call']]);
    const before = parse(SOURCE) as { workflows: { run: { input: object[] } } };
    before.workflows.run.input[1] = { catalog: 'https://ekko.example.org: "x"' };
    expect(parse(text)).toEqual(before);
    expect(text).toContain('# Stays.');
  });

  test('of this release all call the catalog that was named, and none the placeholder', async () => {
    const workbooks = await readWorkbooks({ catalog: 'https://ekko.example.org', mail_server: 'mail:25' });
    expect(workbooks.map(({ name }) => name)).toContain('ekko.backup.v1');
    for (const { text } of workbooks) expect(text).not.toContain('catalog.invalid');
    expect(workbooks.map(({ text }) => text).join()).toMatch(/mail_server: .?mail:25/);
  });
});

test.each([undefined, '', 'ekko.example.org', 'ftp://x', 'https://user:secret@x', 'https://x?y'])(
  'the URL %j of a catalog is refused, with what to do',
  (url) => {
    expect(() => checkCatalogUrl(url)).toThrow(/--catalog or EKKO_CATALOG/);
    expect(() => checkCatalogUrl(url)).not.toThrow(/secret/);
  },
);

test('the last slash of a URL is left out', () => {
  expect(checkCatalogUrl('https://ekko.example.org/')).toBe('https://ekko.example.org');
});

test.each(['zaqar.example.org', 'https://u:secret@zaqar.example.org', 'https://zaqar.example.org/v2', 'https://z/v2/'])(
  '%s is no URL of a Zaqar, which is said without what may be secret in it',
  (url) => {
    expect(() => checkZaqarUrl(url)).toThrow(/--zaqar/);
    expect(() => checkZaqarUrl(url)).not.toThrow(/secret/);
  },
);

test('the URL of a Zaqar is taken without its last slash', () => {
  expect(checkZaqarUrl('http://zaqar.example.org:8888/')).toBe('http://zaqar.example.org:8888');
});
