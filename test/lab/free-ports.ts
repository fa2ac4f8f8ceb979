import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below what kernels give to whoever asks for any port (32768 and up on Linux). */
const FIRST = 20_000;
const COUNT = 12_000;
/** Processes that run beside each other hardly ever begin near each other. */
let next = randomInt(COUNT);

/**
 * TCP ports of the loopback address for programs that must be told theirs. Nobody listens there now, the kernel
 * gives them to nobody, and this process gets none twice: they are free until the program listens.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST + (next++ % COUNT);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, 'listening');
  server.listen(port, '127.0.0.1');
  try {
    await listening;
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
