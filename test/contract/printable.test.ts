import { expect, test } from 'vitest';
import { printable, printableJson } from '../../src/contract/printable.ts';

test.each([
  ['a colour', '\u001b[31mred\u001b[0m', '\ufffd[31mred\ufffd[0m'],
  ['a C1 control sequence', '\u009b2J', '\ufffd2J'],
  ['a write to the clipboard', '\u001b]52;c;Zm9v\u0007', '\ufffd]52;c;Zm9v\ufffd'],
  ['a carriage return over other text', 'member\rdenied', 'member\ufffddenied'],
  ['text turned around', 'a\u202eb\u2066c', 'a\ufffdb\ufffdc'],
  ['text that is not seen', 'a\u200bb\u{e0001}', 'a\ufffdb\ufffd'],
  ['lines, tabs and other alphabets', 'eins\n\tzwei: δύο 三 🙂', 'eins\n\tzwei: δύο 三 🙂'],
])('%s', (_what, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('JSON keeps what it says and shows none of it', () => {
  const value = { reason: '\u001b[2J\u009b\u202e\u{e0001}', name: 'ä' };
  const json = printableJson(JSON.stringify(value));
  expect(JSON.parse(json)).toEqual(value);
  expect(json).toMatch(/^[\p{L}\p{N}\p{P}\p{S}]*$/u);
});
