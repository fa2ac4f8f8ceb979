import { readFileSync } from 'node:fs';
import { createTunnel } from '../../src/tunnel/create-tunnel.ts';

/** This project's end of exchange.sh: answers expected to each of ten pings. */
const key = (name: string): string => readFileSync(`${process.env.KEYS}/${name}`, 'utf8').trim();

const tunnel = await createTunnel({
  mode: 'userspace',
  privateKey: key('here'),
  addresses: ['10.214.77.1/24'],
  peers: [
    {
      publicKey: process.env.PEER!,
      presharedKey: key('psk'),
      endpoint: '10.213.77.2:51820',
      allowedIps: ['10.214.77.2/32'],
    },
  ],
});
let answers = 0;
for (let i = 0; i < 10; i++) {
  if ((await tunnel.ping('10.214.77.2', { timeout: 5000 })) !== undefined) answers++;
}
const { drops } = tunnel.status();
await tunnel.close();
process.stdout.write(
  `exchange with wireguard-go on ${process.arch}: ${answers} of 10 pings answered\n`,
);
if (answers !== 10) {
  process.stderr.write(`${JSON.stringify(drops)}\n`);
  process.exitCode = 1;
}
