// tcp-receive ADDRESS PORT: takes one connection and reports how much came, and its SHA-256.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { argument, ready, report } from './report.ts';

const server = createServer((socket) => {
  server.close();
  const hash = createHash('sha256');
  const start = performance.now();
  let bytes = 0;
  socket.on('data', (data) => {
    bytes += data.length;
    hash.update(data);
  });
  socket.on('end', () => {
    const seconds = (performance.now() - start) / 1000;
    report({ bytes, sha256: hash.digest('hex'), seconds });
  });
});
server.listen(Number(argument(1)), argument(0), ready);
