import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../../src/io/linux/constants.ts';
import { ERRNO, must } from '../../src/io/linux/errno.ts';
import { NativeBuffer, syscalls } from '../../src/io/linux/syscalls.ts';

const AT = { message: 0, iovec: 64, name: 80, text: 192, end: 4096 } as const;

/** A NOTIFY_SOCKET of a test's own: takes what services tell their manager. */
export class NotifyReceiver {
  /** As in NOTIFY_SOCKET. */
  readonly address: string;
  private readonly directory: string | undefined;
  private readonly buffer = new NativeBuffer(AT.end);
  private readonly fd: number;

  constructor(kind: 'path' | 'abstract') {
    this.directory = kind === 'path' ? mkdtempSync(join(tmpdir(), 'notify-')) : undefined;
    const name = `notify-${process.pid}-${Math.random()}`;
    this.address = this.directory === undefined ? `@${name}` : join(this.directory, 'socket');
    const { buffer } = this;
    const bytes = Buffer.from(this.address.replace('@', '\0'));
    buffer.view.setUint16(AT.name, AF_UNIX, true);
    buffer.u8.set(bytes, AT.name + 2);
    const calls = syscalls();
    this.fd = must(calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), 'socket');
    const length = 2 + bytes.length + (kind === 'path' ? 1 : 0);
    must(calls.bind(this.fd, buffer.at(AT.name), length), 'bind');
    buffer.storeAddress(buffer.view, AT.message + 16, AT.iovec);
    buffer.view.setBigUint64(AT.message + 24, 1n, true);
    buffer.storeAddress(buffer.view, AT.iovec, AT.text);
    buffer.view.setBigUint64(AT.iovec + 8, BigInt(AT.end - AT.text), true);
  }

  /** Lines of all that came since the last time, such as `READY=1`. */
  take(): string[] {
    const lines: string[] = [];
    for (;;) {
      const length = syscalls().recvmsg(this.fd, this.buffer.at(AT.message), 0);
      if (length === -ERRNO.EAGAIN) return lines;
      must(length, 'recvmsg');
      const text = Buffer.from(this.buffer.u8.slice(AT.text, AT.text + length)).toString('utf8');
      lines.push(...text.split('\n'));
    }
  }

  close(): void {
    syscalls().close(this.fd);
    if (this.directory !== undefined) rmSync(this.directory, { recursive: true });
  }
}
