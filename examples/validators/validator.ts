import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A validator, as far as this kit needs one: it answers proposals after as many ms as a file says.
 * Parameters: address, port, file.
 */
const [, , host, port, file] = process.argv;

const server = createServer(async (_request, response) => {
  await sleep(Number(readFileSync(file!, 'utf8')));
  response.end('signed\n');
});
server.listen(Number(port), host, () => console.log('listening'));
process.stdin.resume().on('end', () => process.exit(0));
