import { expect, test } from 'vitest';
import { connect, payloadOf, Simulation } from '../lab/simulation.ts';

test('two devices shake hands on the first packet and deliver it', () => {
  const simulation = new Simulation(1);
  const [a, b] = [simulation.addNode(), simulation.addNode()];
  connect(a, b);
  const received: string[] = [];
  b.onPacket = (packet) => received.push(new TextDecoder().decode(payloadOf(packet)));
  a.sendTo(b, new TextEncoder().encode('hello'));
  simulation.runFor(100);
  expect(received).toEqual(['hello']);
});
