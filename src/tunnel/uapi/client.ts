import { connect } from 'node:net';
import type { DeviceChange } from '../../device/config.ts';
import { scopeOf } from '../../io/portable/scope.ts';
import { formatSet } from './change-text.ts';
import type { UapiStatus } from './settings.ts';
import { answerErrno, parseStatus } from './status-text.ts';

const TIMEOUT_MS = 5000;
const MAX_ANSWER_CHARS = 64_000_000;

/** Sends one request to a device's socket. Rejects if it is refused; errors carry no keys. */
export async function uapiSet(socket: string, change: DeviceChange): Promise<void> {
  await call(socket, formatSet(change));
}

/** Rejects if the device refuses, or answers something else than the protocol says. */
export async function uapiGet(socket: string): Promise<UapiStatus> {
  return parseStatus(await call(socket, 'get=1\n\n'), scopeOf);
}

function call(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let answer = '';
    const fail = (message: string, code?: string) => {
      socket.destroy();
      reject(Object.assign(new Error(`${path}: ${message}`), { code }));
    };
    socket.setTimeout(TIMEOUT_MS, () => fail('no answer in time'));
    socket.setEncoding('utf8');
    socket.on('error', (error: NodeJS.ErrnoException) =>
      fail(error.code ?? error.message, error.code),
    );
    socket.on('close', () => fail('closed without an answer')); // too late if it came
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > MAX_ANSWER_CHARS) return fail('the answer does not end');
      if (!answer.endsWith('\n\n')) return;
      const errno = answerErrno(answer);
      if (errno === undefined) return;
      if (errno !== 0) return fail(`refused with errno ${errno}`);
      socket.end();
      resolve(answer);
    });
    socket.write(request);
  });
}
