/** One server-sent event (HTML Living Standard, 9.2); a comment line is a heartbeat. */
export type SseItem =
  | { readonly kind: 'event'; readonly name: string; readonly data: string }
  | { readonly kind: 'comment' };

/** A stream that sends a line longer than this is broken or hostile. */
const MAX_EVENT_CHARS = 2_000_000;

const LINE_END = /\r\n|\n|\r/g;

/**
 * Incremental parser: text in, items out. `push` returns undefined once the stream is not SSE. Each
 * piece is looked at once, however many a line comes in.
 */
export class SseParser {
  /** Pieces of a line whose end has not come, and their length. */
  private pieces: string[] = [];
  private unfinished = 0;
  /** The last piece ended in a carriage return, which may be half of a line's end. */
  private endsInReturn = false;
  private name = '';
  private data: string[] = [];
  private size = 0;

  push(piece: string): SseItem[] | undefined {
    let text = this.endsInReturn ? `\r${piece}` : piece;
    this.endsInReturn = text.endsWith('\r');
    if (this.endsInReturn) text = text.slice(0, -1);
    const items: SseItem[] = [];
    let from = 0;
    for (const { 0: end, index } of text.matchAll(LINE_END)) {
      this.pieces.push(text.slice(from, index));
      from = index + end.length;
      const line = this.pieces.join('');
      this.pieces = [];
      this.unfinished = 0;
      this.size += line.length;
      this.line(line, items);
    }
    this.pieces.push(text.slice(from));
    this.unfinished += text.length - from;
    return this.unfinished + this.size > MAX_EVENT_CHARS ? undefined : items;
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
