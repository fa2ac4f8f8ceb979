// tcp-send ADDRESS PORT BYTES: sends pseudo-random bytes and reports their SHA-256.
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { argument, ready, report } from './report.ts';

const total = Number(argument(2));
const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
const zeros = Buffer.alloc(1 << 18);
const hash = createHash('sha256');
const socket = connect(Number(argument(1)), argument(0));
await once(socket, 'connect');
ready();
const start = performance.now();
for (let sent = 0; sent < total; ) {
  const chunk = cipher.update(zeros.subarray(0, Math.min(zeros.length, total - sent)));
  hash.update(chunk);
  sent += chunk.length;
  if (!socket.write(chunk)) await once(socket, 'drain');
}
socket.end();
await once(socket, 'close');
const seconds = (performance.now() - start) / 1000;
report({ bytes: total, sha256: hash.digest('hex'), seconds });
