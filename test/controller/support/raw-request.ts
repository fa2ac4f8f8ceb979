import { connect } from 'node:net';
import type { Answer } from './test-mesh.ts';

/** Sends bytes as they stand, and reads what comes until the other side hangs up. */
export function rawRequest(port: number, text: string, patience = 5000): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => void socket.write(text));
    socket.setEncoding('utf8');
    socket.setTimeout(patience, () => socket.destroy(new Error('no answer')));
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('error', (error) => {
      if (received === '') reject(error); // it answered and hung up while we were still sending
    });
    socket.on('close', () => {
      const [head = '', body = ''] = received.split(/\r\n\r\n(.*)/s);
      const [first = '', ...lines] = head.split('\r\n');
      const headers = lines.map((line) => line.split(/: (.*)/).slice(0, 2));
      resolve({
        status: Number(first.split(' ')[1]),
        headers: Object.fromEntries(headers.map(([name, value]) => [name!.toLowerCase(), value])),
        text: body,
      });
    });
  });
}
