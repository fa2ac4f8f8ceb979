// udp-receive ADDRESS PORT: counts numbered datagrams until SIGTERM.
import { createSocket } from 'node:dgram';
import { argument, ready, report } from './report.ts';

const address = argument(0);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const numbers = new Set<number>();
let received = 0;
socket.on('message', (datagram) => {
  received++;
  numbers.add(datagram.readUInt32BE(0));
});
process.on('SIGTERM', () => {
  report({ received, distinct: numbers.size });
  process.exit(0);
});
socket.bind(Number(argument(1)), address, () => {
  socket.setRecvBufferSize(4 << 20);
  ready();
});
