// flood SOURCE ADDRESS PORT PUBLIC_KEY RATE: handshake initiations with a valid mac1 and nothing
// else, RATE a second (or as many as it can), until SIGTERM.
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { nobleProvider } from '../../../src/crypto/noble.ts';
import { argument, ready, report } from './report.ts';

/** Fields of an initiation, paper section 5.4.2. */
const LENGTH = 148;
const MAC1_AT = 116;
const BATCH_MS = 2;

const [source, address] = [argument(0), argument(1)];
const port = Number(argument(2));
const rate = Number(argument(4));
const label = new TextEncoder().encode('mac1----');
const key = nobleProvider.hash(label, Buffer.from(argument(3), 'base64'));
const messages = Array.from({ length: 64 }, () => {
  const message = randomBytes(LENGTH);
  message.set([1, 0, 0, 0]);
  message.set(nobleProvider.mac(key, message.subarray(0, MAC1_AT)), MAC1_AT);
  message.fill(0, MAC1_AT + 16);
  return message;
});

const socket = createSocket({ type: 'udp4', lookup: (host, _, done) => done(null, host, 4) });
let sent = 0;
socket.on('error', () => {});
socket.bind(0, source, () => {
  socket.setSendBufferSize(4 << 20);
  const start = performance.now();
  const batch = () => {
    const due = ((performance.now() - start) / 1000) * rate;
    for (let burst = 0; sent < due && burst < 2000; burst++) {
      socket.send(messages[sent++ % messages.length]!, port, address, () => {});
    }
    setTimeout(batch, BATCH_MS);
  };
  batch();
  ready();
});
process.on('SIGTERM', () => {
  report({ sent });
  process.exit(0);
});
