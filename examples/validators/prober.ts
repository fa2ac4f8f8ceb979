import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Proposes something to every validator twice a second, over the plain network and not through the
 * mesh (who is out of the mesh must be measured, too), and serves what came of it to Prometheus.
 * Parameters: port, and NODE=URL for each validator.
 */
const [, , port, ...targets] = process.argv;

const EVERY_MS = 500;
/** Longer than this and the proposal has gone to another. */
const LIMIT_MS = 1500;

interface Last {
  readonly up: number;
  readonly seconds: number;
}

const last = new Map<string, Last>();

async function propose(node: string, url: string): Promise<void> {
  const started = performance.now();
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(LIMIT_MS) });
    await response.text();
    last.set(node, { up: 1, seconds: (performance.now() - started) / 1000 });
  } catch {
    last.set(node, { up: 0, seconds: LIMIT_MS / 1000 });
  }
}

async function follow(node: string, url: string): Promise<never> {
  for (;;) {
    const next = performance.now() + EVERY_MS;
    await propose(node, url);
    await sleep(Math.max(0, next - performance.now()));
  }
}

for (const target of targets) {
  const split = target.indexOf('=');
  void follow(target.slice(0, split), target.slice(split + 1));
}

const server = createServer((_request, response) => {
  const rows = [...last].flatMap(([node, { up, seconds }]) => [
    `validator_up{validator="${node}"} ${up}`,
    `validator_answer_seconds{validator="${node}"} ${seconds}`,
  ]);
  response.setHeader('content-type', 'text/plain; version=0.0.4');
  response.end(`${rows.join('\n')}\n`);
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
process.stdin.resume().on('end', () => process.exit(0));
