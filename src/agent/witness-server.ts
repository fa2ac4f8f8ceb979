import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refusal, type WitnessAnswer } from '../record/witness.ts';
import type { Witness } from './witness.ts';

/** 63 hashes and a checkpoint with some dozen signatures. */
const MOST_BYTES = 16_384;
const MAX_CONNECTIONS = 64;
/** A request that is not complete by then is cut off, ms. */
const REQUEST_TIMEOUT_MS = 5000;

/**
 * Serves a witness over plain HTTP: whoever asks is believed nothing but the log's signature, and the
 * answer is one. Rejects if it cannot listen.
 */
export function serveWitness(
  { host, port }: { readonly host: string; readonly port: number },
  witness: Pick<Witness, 'answer'>,
): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    async (request, response) => {
      const { status, type, body } = await answerTo(request, witness);
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(body);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const { address, family, port: bound } = server.address() as AddressInfo;
      const authority = family === 'IPv6' ? `[${address}]:${bound}` : `${address}:${bound}`;
      resolve({ server, url: `http://${authority}` });
    });
  });
}

async function answerTo(
  request: IncomingMessage,
  witness: Pick<Witness, 'answer'>,
): Promise<WitnessAnswer> {
  if (request.url !== '/add-checkpoint') return refusal(404, 'POST /add-checkpoint');
  if (request.method !== 'POST') return refusal(405, 'POST /add-checkpoint');
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MOST_BYTES) return refusal(413, `at most ${MOST_BYTES} bytes`);
      chunks.push(chunk);
    }
    return await witness.answer(Buffer.concat(chunks).toString());
  } catch {
    return refusal(500, 'what is cosigned could not be kept, so nothing is');
  }
}
