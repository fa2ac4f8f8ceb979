import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, UNIX_PATH_MAX } from './constants.ts';
import { ERRNO, must } from './errno.ts';
import { NativeBuffer, type Syscalls, syscalls } from './syscalls.ts';

/** Offsets in the one native buffer: struct msghdr, struct iovec, struct sockaddr_un, the text. */
const AT = { message: 0, iovec: 64, name: 80, text: 192 } as const;
const MSG = { name: 0, nameLength: 8, iov: 16, iovLength: 24 } as const;
/** Longest datagram (bytes); a service manager reads no more than a page. */
const MAX_TEXT = 2048;

const encoder = new TextEncoder();

/** Sends datagrams to a Unix socket, for which Node has no API; see sd_notify(3). */
export class NotifySocket {
  private readonly calls: Syscalls = syscalls();
  private readonly buffer = new NativeBuffer(AT.text + MAX_TEXT);
  private readonly fd: number;

  /**
   * `address`: an absolute path, or `@` and an abstract name, as in NOTIFY_SOCKET. Throws a
   * `RangeError` for anything else, and a `SystemCallError` where no socket can be made.
   */
  constructor(address: string) {
    const name = encoder.encode(address);
    const isAbstract = address.startsWith('@');
    // A path is ended by a zero; an abstract name begins with one and is as long as it is said to be.
    const longest = isAbstract ? UNIX_PATH_MAX : UNIX_PATH_MAX - 1;
    const isAddress = (isAbstract || address.startsWith('/')) && name.length > 1;
    if (!isAddress || name.length > longest || name.includes(0)) {
      throw new RangeError(
        `expected an absolute path, or @ and a name, of at most ${longest} bytes`,
      );
    }
    if (isAbstract) name[0] = 0;
    const { buffer } = this;
    const { view } = buffer;
    view.setUint16(AT.name, AF_UNIX, true);
    buffer.u8.set(name, AT.name + 2);
    buffer.storeAddress(view, AT.message + MSG.name, AT.name);
    view.setUint32(AT.message + MSG.nameLength, 2 + name.length + (isAbstract ? 0 : 1), true);
    buffer.storeAddress(view, AT.message + MSG.iov, AT.iovec);
    view.setBigUint64(AT.message + MSG.iovLength, 1n, true);
    buffer.storeAddress(view, AT.iovec, AT.text);
    const kind = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    this.fd = must(this.calls.socket(AF_UNIX, kind, 0), 'socket');
  }

  /** False: the other end's queue is full, and this is to be sent again. Never waits. */
  send(text: string): boolean {
    const { buffer } = this;
    const { written } = encoder.encodeInto(text, buffer.u8.subarray(AT.text));
    buffer.view.setBigUint64(AT.iovec + 8, BigInt(written), true);
    const result = this.calls.sendmsg(this.fd, buffer.at(AT.message), 0);
    if (result === -ERRNO.EAGAIN) return false;
    must(result, 'sendmsg');
    return true;
  }

  close(): void {
    this.calls.close(this.fd);
  }
}
