// udp-send ADDRESS PORT COUNT LARGEST: numbered datagrams of 4 to LARGEST bytes, one per ms at most.
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { argument, ready, report } from './report.ts';

const address = argument(0);
const [port, count, largest] = [1, 2, 3].map((at) => Number(argument(at))) as [
  number,
  number,
  number,
];
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
ready();
for (let number = 0; number < count; number++) {
  const datagram = Buffer.alloc(4 + ((number * 7919) % (largest - 3)));
  datagram.writeUInt32BE(number);
  await new Promise<void>((resolve, reject) => {
    socket.send(datagram, port, address, (error) => (error ? reject(error) : resolve()));
  });
  await sleep(1);
}
socket.close();
report({ sent: count });
