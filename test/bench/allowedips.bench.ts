import { Bench } from 'tinybench';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { publish } from '../lab/suite.ts';

/**
 * Allowed-ips lookups straight from packet bytes, at 10, 1,000 and 100,000 prefixes: addresses that
 * change with every lookup (the worst case; a flow looks up the same one again and again).
 */

const LOOKUPS = 1000;

/** Deterministic, evenly spread. */
function* randomWords(): Generator<number, never> {
  let state = 0x9e3779b9;
  for (;;) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

function table(prefixes: number, bytes: 4 | 16): { table: AllowedIps; packets: DataView } {
  const words = randomWords();
  const allowedIps = new AllowedIps();
  const addresses: Uint8Array[] = [];
  for (let i = 0; i < prefixes; i++) {
    const address = new Uint8Array(bytes);
    const view = new DataView(address.buffer);
    for (let at = 0; at < bytes; at += 4) view.setUint32(at, words.next().value);
    const length = bytes === 4 ? 16 + (i % 17) : 32 + (i % 97);
    allowedIps.insert({ address, length }, i % 1000);
    addresses.push(address);
  }
  const packets = new DataView(new ArrayBuffer(LOOKUPS * bytes));
  for (let i = 0; i < LOOKUPS; i++) {
    const address = addresses[words.next().value % prefixes]!;
    for (let at = 0; at < bytes; at++) packets.setUint8(i * bytes + at, address[at]!);
  }
  return { table: allowedIps, packets };
}

const bench = new Bench({ time: 300, warmupTime: 100 });
for (const prefixes of [10, 1_000, 100_000]) {
  for (const bytes of [4, 16] as const) {
    const { table: allowedIps, packets } = table(prefixes, bytes);
    let found = 0;
    bench.add(`IPv${bytes === 4 ? 4 : 6}, ${prefixes} prefixes`, () => {
      for (let i = 0; i < LOOKUPS; i++) {
        found +=
          bytes === 4 ? allowedIps.lookup4(packets, i * 4) : allowedIps.lookup6(packets, i * 16);
      }
      return found;
    });
  }
}
await bench.run();
publish(
  'allowed-ips lookups',
  bench.tasks.map((task) => {
    if (task.result.state !== 'completed') throw new Error(`${task.name} did not complete`);
    const { mean } = task.result.latency;
    return {
      table: task.name,
      'ns per lookup': Number(((mean * 1e6) / LOOKUPS).toFixed(1)),
      'lookups/s': Math.round((LOOKUPS * 1000) / mean),
    };
  }),
);
