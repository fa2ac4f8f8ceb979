import { Bench } from 'tinybench';
import { nobleProvider } from '../src/crypto/noble.ts';
import { nodeProvider } from '../src/crypto/node.ts';
import { publish } from '../test/lab/suite.ts';
import { datagramHandshake, noiseHandshake, tunnelHandshake } from './handshakes.ts';

/** Complete handshakes per second on both cryptography providers. */

const bench = new Bench({ time: 1000, warmupTime: 300 });
for (const provider of [nobleProvider, nodeProvider]) {
  const noise = noiseHandshake(provider);
  const datagrams = datagramHandshake(provider);
  const tunnels = tunnelHandshake(provider);
  bench.add(`${provider.name}: noise`, () => noise());
  bench.add(`${provider.name}: datagrams`, () => datagrams());
  bench.add(`${provider.name}: tunnels`, () => tunnels());
}
await bench.run();

publish(
  'Complete handshakes, both sides, one thread',
  bench.tasks.map((task) => {
    if (task.result.state !== 'completed') throw new Error(`${task.name} did not complete`);
    const { mean, p99 } = task.result.latency;
    return {
      handshake: task.name,
      'handshakes/s': Math.round(1000 / mean),
      'us mean': Math.round(mean * 1000),
      'us p99': Math.round(p99 * 1000),
    };
  }),
);
