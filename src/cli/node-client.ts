import { existsSync } from 'node:fs';
import { nodeSocketIn } from '../agent/socket/node-socket.ts';
import { adminCall, adminLines } from './admin-client.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** One call of the node that runs in a state directory. Rejects with a `CommandError`. */
export function nodeCall<T>(state: string, method: 'GET' | 'POST', path: string): Promise<T> {
  return ofNode(state, () => adminCall<T>({ socket: nodeSocketIn(state) }, method, path));
}

/** See `adminLines`. */
export function nodeLines(
  state: string,
  path: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const target = { socket: nodeSocketIn(state) };
  return ofNode(state, () => adminLines(target, path, onLine, signal));
}

async function ofNode<T>(state: string, call: () => Promise<T>): Promise<T> {
  const socket = nodeSocketIn(state);
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== EXIT.unreachable) throw error;
    const why = existsSync(socket)
      ? `${socket}: cannot be asked; is the node running, and is this its user?`
      : `no node runs in ${state}; start one, or name its --state`;
    throw new CommandError(EXIT.unreachable, 'unreachable', why);
  }
}
