/** Controls of C0 and C1 but tab and newline, and formats that turn or hide the text around them. */
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Cf}]/gu;

/**
 * Foreign text for a terminal or a log: what could move a cursor, write to a clipboard or hide other
 * text is shown as U+FFFD.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}

/** The same for JSON, where it stays what it was, escaped. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (one) =>
    // By UTF-16 units, as JSON escapes them.
    [...Array(one.length).keys()]
      .map((i) => `\\u${one.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
