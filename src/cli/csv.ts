import { printable } from '../contract/printable.ts';

/** What spreadsheets take for a formula if a field begins with it; tab and return, too. */
const FORMULA = /^[=+\-@\t\r]/;
const TO_QUOTE = /[",\r\n]/;

/**
 * A line of CSV (RFC 4180), its end included. Text that a spreadsheet would compute has an apostrophe before it,
 * as OWASP advises against CSV injection; what could move a cursor is replaced.
 */
export function csvLine(fields: readonly (string | number)[]): string {
  return `${fields.map(csvField).join()}\r\n`;
}

function csvField(field: string | number): string {
  if (typeof field === 'number') return String(field);
  const text = printable(FORMULA.test(field) ? `'${field}` : field);
  return TO_QUOTE.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
