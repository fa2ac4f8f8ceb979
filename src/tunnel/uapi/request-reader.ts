import { Buffer } from 'node:buffer';

/** Room for 250,000 allowed-ips in their longest form. */
const MAX_REQUEST_BYTES = 16 << 20;
const NEWLINE = 10;
const OPERATION_BYTES = 'set=1\n'.length;

export interface Request {
  readonly operation: 'get' | 'set';
  /** The lines between the operation and the empty line. */
  readonly lines: string[];
}

/** Takes requests out of a byte stream: any number in one chunk, or one in any number of chunks. */
export class RequestReader {
  private readonly limit: number;
  private chunks: Buffer[] = [];
  private bytes = 0;
  private endsWithNewline = false;

  constructor(limit = MAX_REQUEST_BYTES) {
    this.limit = limit;
  }

  /** True in the middle of a request. */
  get partial(): boolean {
    return this.bytes > 0;
  }

  /**
   * The requests that `chunk` completes. Undefined if the stream is none of requests or exceeds
   * the limit; there is no way to go on then. The reader keeps and later overwrites `chunk`.
   */
  push(chunk: Buffer): Request[] | undefined {
    const requests: Request[] = [];
    let from = 0;
    while (from < chunk.length) {
      const end = this.endOfRequest(chunk, from);
      this.keep(chunk.subarray(from, end === -1 ? chunk.length : end));
      if (this.bytes > this.limit || !this.startsLikeRequest()) return undefined;
      if (end === -1) break;
      requests.push(this.take());
      from = end;
    }
    return requests;
  }

  /** Offset behind the empty line that ends the request, or -1. */
  private endOfRequest(chunk: Buffer, from: number): number {
    if (this.endsWithNewline && chunk[from] === NEWLINE) return from + 1;
    const at = chunk.indexOf('\n\n', from, 'latin1');
    return at === -1 ? -1 : at + 2;
  }

  private keep(part: Buffer): void {
    this.chunks.push(part);
    this.bytes += part.length;
    this.endsWithNewline = part.at(-1) === NEWLINE;
  }

  private startsLikeRequest(): boolean {
    let start = '';
    for (const chunk of this.chunks) {
      start += chunk.toString('latin1', 0, OPERATION_BYTES);
      if (start.length >= OPERATION_BYTES) break;
    }
    start = start.slice(0, OPERATION_BYTES);
    return 'get=1\n'.startsWith(start) || 'set=1\n'.startsWith(start);
  }

  private take(): Request {
    const all = Buffer.concat(this.chunks);
    const text = all.toString('latin1', OPERATION_BYTES, all.length - 1);
    const operation = all[0] === 'g'.charCodeAt(0) ? 'get' : 'set';
    all.fill(0); // it may hold keys
    this.clear();
    const lines = text === '' ? [] : text.slice(0, -1).split('\n');
    return { operation, lines };
  }

  /** Forgets a request that was not finished. */
  clear(): void {
    for (const chunk of this.chunks) chunk.fill(0);
    this.chunks = [];
    this.bytes = 0;
    this.endsWithNewline = false;
  }
}
