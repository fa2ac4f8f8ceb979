/** One server-sent event (HTML Living Standard, 9.2); a comment line is a heartbeat. */
export type SseItem =
  | { readonly kind: 'event'; readonly name: string; readonly data: string }
  | { readonly kind: 'comment' };

/** A stream that sends a line longer than this is broken or hostile. */
const MAX_EVENT_CHARS = 2_000_000;

/** Incremental parser: text in, items out. `push` returns undefined once the stream is not SSE. */
export class SseParser {
  private rest = '';
  private name = '';
  private data: string[] = [];
  private size = 0;

  push(text: string): SseItem[] | undefined {
    this.rest += text;
    const items: SseItem[] = [];
    for (;;) {
      const end = this.rest.search(/\r\n|\n|\r(?=[^\n])/);
      if (end < 0) break;
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + (this.rest.startsWith('\r\n', end) ? 2 : 1));
      this.size += line.length;
      this.line(line, items);
    }
    return this.rest.length + this.size > MAX_EVENT_CHARS ? undefined : items;
  }

  private line(line: string, items: SseItem[]): void {
    if (line === '') {
      if (this.data.length > 0) {
        items.push({ kind: 'event', name: this.name || 'message', data: this.data.join('\n') });
      }
      this.name = '';
      this.data = [];
      this.size = 0;
      return;
    }
    if (line.startsWith(':')) {
      this.size -= line.length;
      items.push({ kind: 'comment' });
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'event') this.name = value;
    else if (field === 'data') this.data.push(value);
  }
}
