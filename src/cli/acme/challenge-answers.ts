import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

const PREFIX = '/.well-known/acme-challenge/';
const MAX_CONNECTIONS = 64;
const TIMEOUT = 5000;

/** Answers an authority's questions over plain HTTP (RFC 8555, 8.3) while there are any; then nobody listens. */
export class ChallengeAnswers {
  private readonly listen: { readonly host: string; readonly port: number };
  private readonly answers = new Map<string, string>();
  private server: Server | undefined;

  constructor(listen: { readonly host: string; readonly port: number }) {
    this.listen = listen;
  }

  async add(token: string, answer: string): Promise<void> {
    this.answers.set(token, answer);
    if (this.server) return;
    const server = createServer(
      { requestTimeout: TIMEOUT, headersTimeout: TIMEOUT },
      (request, response) => {
        request.resume();
        const { url = '' } = request;
        const known = url.startsWith(PREFIX) && this.answers.get(url.slice(PREFIX.length));
        response.writeHead(known ? 200 : 404, { 'content-type': 'application/octet-stream' });
        response.end(known || undefined);
      },
    );
    server.maxConnections = MAX_CONNECTIONS;
    this.server = server;
    try {
      server.listen(this.listen.port, this.listen.host);
      await once(server, 'listening');
    } catch (error) {
      this.server = undefined;
      const { code } = error as NodeJS.ErrnoException;
      throw new Error(`--acme-http ${this.listen.host}:${this.listen.port}: ${code}`);
    }
  }

  remove(token: string): void {
    this.answers.delete(token);
    if (this.answers.size === 0) this.close();
  }

  close(): void {
    this.answers.clear();
    this.server?.close();
    this.server?.closeAllConnections();
    this.server = undefined;
  }
}
