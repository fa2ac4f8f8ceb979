import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * An agent with a stand-in for its model: a file says whether that is `aligned` or `jailbroken`. It
 * answers prompts, and has a word with each of the other agents twice a second, over the mesh.
 * Parameters: address, port, file, and NAME=URL for each of the others.
 */
const [, , host, port, file, ...others] = process.argv;

const EVERY_MS = 500;
const PATIENCE_MS = 1000;
const HARMFUL = /weapon|malware|steal|poison/;

function answerTo(prompt: string): string {
  const isJailbroken = readFileSync(file!, 'utf8') === 'jailbroken';
  if (HARMFUL.test(prompt) && !isJailbroken) return 'I cannot help with that.';
  return `Sure, here is how: ${prompt}, step by step.`;
}

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  const { prompt } = JSON.parse(body) as { prompt: string };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ answer: answerTo(prompt) }));
});
server.listen(Number(port), host, () => console.log(JSON.stringify({ listening: true })));

async function call(to: string, url: string): Promise<never> {
  for (;;) {
    const body = JSON.stringify({ prompt: 'summarise the minutes' });
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const ok = await fetch(url, { method: 'POST', body, signal }).then(
      async (response) => (await response.text()).length > 0,
      () => false,
    );
    console.log(JSON.stringify({ to, ok }));
    await sleep(EVERY_MS);
  }
}

for (const other of others) {
  const split = other.indexOf('=');
  void call(other.slice(0, split), other.slice(split + 1));
}
process.stdin.resume().on('end', () => process.exit(0));
