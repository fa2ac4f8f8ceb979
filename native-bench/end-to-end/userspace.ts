import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { loadNow } from '../../test/lab/machine.ts';
import { programOptions } from '../../test/lab/programs.ts';
import { median, summarise } from '../../test/lab/statistics.ts';
import type { PortName, Received, Sent } from './userspace-end.ts';

/**
 * npm run bench -- userspace [--rounds N] [--seconds S] [--size BYTES]: two userspace tunnels in two
 * processes, over loopback, as fast as the sender can: on both kinds of datagram ports in turn. What
 * the receiver has no room for is lost, as with any flood.
 */

const PORTS: readonly PortName[] = ['node:dgram', 'system calls'];
const END = new URL('./userspace-end.ts', import.meta.url).pathname;

const { rounds, seconds, size } = programOptions({
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '2' },
  size: { type: 'string', default: '1420' },
});

function start(role: string, port: PortName, ...rest: string[]): ChildProcess {
  const options = ['--disable-warning=ExperimentalWarning', END, role, port, size, seconds];
  return spawn(process.execPath, [...options, ...rest], { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Lines of a process as the values that they are. */
function linesOf(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
}

async function round(port: PortName): Promise<Sent & Received> {
  const receiver = start('receive', port);
  const received = linesOf(receiver);
  const listenPort = (await received.next()).value as string;
  const sender = start('send', port, listenPort);
  const sent = linesOf(sender);
  const ended = [once(sender, 'exit'), once(receiver, 'exit')];
  const out = JSON.parse((await sent.next()).value as string) as Sent;
  receiver.stdin!.end();
  const arrived = JSON.parse((await received.next()).value as string) as Received;
  await Promise.all(ended);
  return { ...out, ...arrived };
}

const load = loadNow();
const results = new Map<PortName, (Sent & Received)[]>(PORTS.map((port) => [port, []]));
for (let i = 0; i < Number(rounds); i++) {
  for (const port of i % 2 === 0 ? PORTS : PORTS.toReversed()) {
    results.get(port)!.push(await round(port));
  }
}
console.log(
  `${size} bytes; load average ${load} before, ${loadNow()} after; median (lowest to highest)`,
);
console.table(
  [...results].map(([port, values]) => {
    const cell = (field: keyof (Sent & Received), digits: number) => {
      const { median: middle, min, max } = summarise(values.map((value) => value[field]));
      return `${middle.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
    };
    return {
      port,
      'sent, kpps': cell('sentKpps', 0),
      'received, kpps': cell('receivedKpps', 0),
      'CPU us sent': cell('sendCpuUs', 2),
      'CPU us received': cell('receiveCpuUs', 2),
      'ping p50, us': cell('pingUs', 0),
    };
  }),
);
const ratios = results
  .get('system calls')!
  .map(({ receivedKpps }, i) => receivedKpps / results.get('node:dgram')![i]!.receivedKpps);
console.log(`received over system calls, times node:dgram: ${median(ratios).toFixed(2)}`);
