import { createSocket } from 'node:dgram';
import type { Counters } from '../counters.ts';
import { answerTo } from './dns-message.ts';

export interface DnsResponderOptions {
  /** Of the tunnel: nobody else's. */
  readonly address: string;
  readonly port: number;
  readonly addressOf: (name: string) => string | undefined;
  readonly counters: Counters;
}

/** Answers for the mesh's zone by UDP until `signal` aborts. Rejects if it cannot. */
export async function respondToDns(
  { address, port, addressOf, counters }: DnsResponderOptions,
  signal: AbortSignal,
): Promise<void> {
  const socket = createSocket('udp4');
  const ended = Promise.withResolvers<void>();
  socket.on('error', ended.reject);
  socket.on('message', (query, from) => {
    const answer = answerTo(query, addressOf);
    counters.add(answer === undefined ? 'dns_dropped' : 'dns_answered');
    if (answer !== undefined) socket.send(answer, from.port, from.address, () => {});
  });
  signal.addEventListener('abort', () => ended.resolve(), { once: true });
  try {
    if (signal.aborted) return;
    socket.bind({ address, port, exclusive: true });
    await ended.promise;
  } finally {
    socket.close();
  }
}
