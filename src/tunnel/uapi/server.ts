import { type FSWatcher, lstatSync, mkdirSync, unlinkSync, watch } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { listenPrivately } from '../../ground/private-socket.ts';
import { scopeOf } from '../../io/portable/scope.ts';
import { type Tunnel, TunnelError, type TunnelErrorCode } from '../tunnel.ts';
import { parseSet } from './change-text.ts';
import { type Request, RequestReader } from './request-reader.ts';
import { formatErrno, formatStatus } from './status-text.ts';
import { UapiError } from './values.ts';

/** Where wg(8) looks for the sockets of userspace implementations. */
const SOCKET_FOLDER = '/var/run/wireguard';
/** Own tuning: clients at once, and ms that a client may rest in the middle of a request or answer. */
const MAX_CLIENTS = 64;
const STALL_TIMEOUT = 10_000;
/** What the official implementation answers when it does not know what happened. */
const ERRNO_UNKNOWN = 55;

export function socketPath(interfaceName: string): string {
  return `${SOCKET_FOLDER}/${interfaceName}.sock`;
}

export interface UapiServerOptions {
  readonly tunnel: Pick<Tunnel, 'configure' | 'status'>;
  readonly path: string;
  /** A socket that is bound to `path` and listening already (WG_UAPI_FD). */
  readonly fd?: number;
  /** ms, default 10 s. */
  readonly stallTimeout?: number;
  /** Told why a request was refused. Never contains a value of the request. */
  readonly log?: (message: string) => void;
}

/** Serves the configuration protocol on a Unix socket until `close` or until the file is removed. */
export class UapiServer {
  private readonly options: UapiServerOptions;
  private readonly server: Server;
  private readonly clients = new Set<Socket>();
  private watcher: FSWatcher | undefined;
  private inode = 0n;
  private turn: Promise<unknown> = Promise.resolve();
  private readonly gone = Promise.withResolvers<void>();

  private constructor(options: UapiServerOptions) {
    this.options = options;
    this.server = createServer({ allowHalfOpen: true }, (socket) => void this.serve(socket));
    this.server.maxConnections = MAX_CLIENTS;
  }

  /** Rejects with TunnelError `name_in_use` if another process answers on the socket. */
  static async listen(options: UapiServerOptions): Promise<UapiServer> {
    const server = new UapiServer(options);
    if (options.fd === undefined) {
      mkdirSync(dirname(options.path), { recursive: true, mode: 0o755 });
      await removeStaleSocket(options.path);
    }
    await server.bind();
    server.watchFile();
    return server;
  }

  /** Settles when the socket's file was removed or replaced by somebody else. */
  get removed(): Promise<void> {
    return this.gone.promise;
  }

  /** Ends all connections and removes the socket. */
  async close(): Promise<void> {
    this.watcher?.close();
    for (const client of this.clients) client.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    if (this.options.fd !== undefined && this.inode === inodeOf(this.options.path)) {
      unlinkSync(this.options.path);
    }
  }

  private bind(): Promise<void> {
    const { path, fd } = this.options;
    if (fd === undefined) return listenPrivately(this.server, path);
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.once('listening', () => {
        this.server.off('error', reject);
        resolve();
      });
      this.server.listen({ fd });
    });
  }

  private watchFile(): void {
    const { path } = this.options;
    this.inode = inodeOf(path) ?? 0n;
    const check = () => {
      if (inodeOf(path) !== this.inode) this.gone.resolve();
    };
    try {
      this.watcher = watch(dirname(path), check);
      this.watcher.on('error', check);
    } catch (error) {
      // Out of inotify watches, say: everything else works.
      this.options.log?.(`cannot notice the removal of ${path}: ${(error as Error).message}`);
    }
    check();
  }

  private async serve(socket: Socket): Promise<void> {
    const reader = new RequestReader();
    let answering = false;
    this.clients.add(socket);
    socket.on('error', () => {}); // a client that went away
    socket.setTimeout(this.options.stallTimeout ?? STALL_TIMEOUT, () => {
      if (reader.partial || answering) socket.destroy();
    });
    try {
      for await (const chunk of socket) {
        const requests = reader.push(chunk);
        if (requests === undefined) {
          await write(socket, formatErrno(-constants.errno.EINVAL));
          break;
        }
        for (const request of requests) {
          const answer = await this.answer(request);
          answering = true;
          await write(socket, answer);
          answering = false;
        }
      }
      socket.end();
    } catch {
      socket.destroy();
    } finally {
      reader.clear();
      socket.destroySoon();
      this.clients.delete(socket);
    }
  }

  private async answer(request: Request): Promise<string> {
    try {
      if (request.operation === 'get') {
        if (request.lines.length > 0) throw new UapiError('EINVAL', 'lines behind "get=1"');
        return formatStatus(this.options.tunnel.status()) + formatErrno(0);
      }
      const change = parseSet(request.lines, scopeOf);
      await this.inTurn(() => this.options.tunnel.configure(change));
      return formatErrno(0);
    } catch (error) {
      this.options.log?.(`configuration refused: ${(error as Error).message}`);
      return formatErrno(errnoOf(error));
    }
  }

  /** Changes of different clients are applied one after the other. */
  private inTurn(action: () => Promise<void>): Promise<void> {
    const result = this.turn.then(action);
    this.turn = result.catch(() => {});
    return result;
  }
}

const ERRNO_OF_CODE: Record<TunnelErrorCode, keyof typeof constants.errno> = {
  invalid_argument: 'EINVAL',
  psk_required: 'EINVAL',
  limit_exceeded: 'ENOSPC',
  not_permitted: 'EPERM',
  not_supported: 'EOPNOTSUPP',
  address_in_use: 'EADDRINUSE',
  name_in_use: 'EEXIST',
  closed: 'ENODEV',
  system_call_failed: 'EIO',
};

function errnoOf(error: unknown): number {
  if (error instanceof UapiError) return error.errno;
  if (error instanceof TunnelError) return -constants.errno[ERRNO_OF_CODE[error.code]];
  return -ERRNO_UNKNOWN;
}

/** Resolves when the system has taken all of it, so that a slow reader holds back its own requests. */
function write(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(text, 'latin1', (error) => (error ? reject(error) : resolve()));
  });
}

/** Undefined if there is no file. */
function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** Removes a socket nobody listens on; throws if somebody does. */
async function removeStaleSocket(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw new TunnelError('name_in_use', `${path} exists and is not a socket`);
  if (await isAnswering(path)) {
    throw new TunnelError('name_in_use', `${path} is in use by a running process`);
  }
  unlinkSync(path);
}

/** True if a process listens on the socket at `path`. */
export function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createConnection({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else if (error.code === 'EAGAIN')
        resolve(true); // its backlog is full
      else reject(error);
    });
  });
}
