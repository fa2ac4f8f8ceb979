import { expect, test } from 'vitest';
import { csvLine } from '../../src/cli/csv.ts';

test.each([
  ['node-a', 'node-a'],
  ['', ''],
  [-5, '-5'],
  ['=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'],
  ['-1-1', "'-1-1"],
  ['+1', "'+1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', "'\t=1"],
  ['a,b', '"a,b"'],
  ['a\r\n=1', '"a\ufffd\n=1"'],
  ['a\u001b[2J', 'a\ufffd[2J'],
])('%j is one field that no spreadsheet computes', (field, text) => {
  expect(csvLine(['x', field, 1])).toBe(`x,${text},1\r\n`);
});
