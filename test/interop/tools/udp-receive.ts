// udp-receive ADDRESS PORT: counts numbered datagrams until SIGTERM, and then until no more come.
import { createSocket } from 'node:dgram';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { argument, ready, report } from './report.ts';

/** ms without a datagram after which none is under way any more. */
const QUIET_MS = 500;

const address = argument(0);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const numbers = new Set<number>();
let received = 0;
socket.on('message', (datagram) => {
  received++;
  numbers.add(datagram.readUInt32BE(0));
});
process.on('SIGTERM', async () => {
  for (let before = -1; before !== received; ) {
    before = received;
    await sleep(QUIET_MS);
    await turn(); // what waits in the socket is read before
  }
  report({ received, distinct: numbers.size });
  process.exit(0);
});
socket.bind(Number(argument(1)), address, () => {
  socket.setRecvBufferSize(4 << 20);
  ready();
});
