import { closeSync, constants, fchmodSync, fstatSync, openSync, writeSync } from 'node:fs';
import type { HandshakeSecrets } from '../device/handshakes.ts';
import { TunnelError } from './tunnel.ts';

/** File that the keys of every handshake are written to. */
export const KEY_LOG = 'MESH_KEYLOG';

/**
 * Writes what Wireshark needs to decrypt a capture of this tunnel (its preference `wg.keylog_file`).
 * Only if the environment names a file: a reader of it can read all traffic. Undefined if it does
 * not. Throws a TunnelError if the file cannot be had for this user alone.
 */
export function openKeyLog(
  log: (message: string) => void,
  path: string | undefined = process.env[KEY_LOG],
): ((secrets: HandshakeSecrets) => void) | undefined {
  if (path === undefined || path === '') return undefined;
  append(path, '');
  log(`${KEY_LOG}: WRITES THE KEYS OF EVERY SESSION to ${path}: who reads it reads the traffic`);
  let failed = false;
  return (secrets) => {
    if (failed) return;
    try {
      append(path, lines(secrets));
    } catch (error) {
      failed = true; // a debugging aid must not end a tunnel
      log(`${KEY_LOG}: nothing more is written: ${(error as Error).message}`);
    }
  };
}

/** Wireshark takes an ephemeral key for the static ones before it, a pre-shared key for it. */
function lines({ privateKey, peerPublicKey, ephemeral, presharedKey }: HandshakeSecrets): string {
  return [
    `LOCAL_STATIC_PRIVATE_KEY=${privateKey.toBase64()}`,
    `REMOTE_STATIC_PUBLIC_KEY=${peerPublicKey.toBase64()}`,
    `LOCAL_EPHEMERAL_PRIVATE_KEY=${ephemeral.toBase64()}`,
    `PRESHARED_KEY=${presharedKey.toBase64()}`,
    '',
  ].join('\n');
}

function append(path: string, text: string): void {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (error) {
    throw unusable(path, (error as Error).message);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw unusable(path, 'it is no regular file');
    if (stats.uid !== process.getuid?.()) throw unusable(path, 'it belongs to another user');
    fchmodSync(fd, 0o600);
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function unusable(path: string, why: string): TunnelError {
  return new TunnelError('invalid_argument', `${KEY_LOG}=${path}: ${why}`);
}
