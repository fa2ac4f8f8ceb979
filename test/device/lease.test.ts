import { expect, test } from 'vitest';
import { connect, payloadOf, type SimulatedNode, Simulation } from '../lab/simulation.ts';

const S = 1000;

function pair() {
  const simulation = new Simulation(1);
  const [a, b] = [simulation.addNode(), simulation.addNode()] as [SimulatedNode, SimulatedNode];
  connect(a, b, { presharedKey: new Uint8Array(32).fill(5), generation: 1 });
  const received: string[] = [];
  for (const node of [a, b]) {
    node.onPacket = (packet) => received.push(new TextDecoder().decode(payloadOf(packet)));
  }
  const exchange = (text: string) => {
    received.length = 0;
    a.sendTo(b, new TextEncoder().encode(`${text} out`));
    b.sendTo(a, new TextEncoder().encode(`${text} back`));
    simulation.runFor(100);
    return received.toSorted();
  };
  const lease = (seconds: number) => {
    a.core.extendLease(a.clock / S + seconds, a.clock);
    a.wake();
  };
  return { simulation, a, b, exchange, lease };
}

test('without a lease keys live as long as the protocol lets them', () => {
  const { exchange, simulation } = pair();
  simulation.runFor(100 * S);
  expect(exchange('late')).toEqual(['late back', 'late out']);
});

test('when a lease is over nothing passes, in either direction, and no handshake is made', () => {
  const { exchange, simulation, a, b, lease } = pair();
  lease(10);
  expect(exchange('first')).toEqual(['first back', 'first out']);
  simulation.runFor(9 * S);
  expect(exchange('in time')).toEqual(['in time back', 'in time out']);
  simulation.runFor(2 * S);
  expect(exchange('over')).toEqual([]);
  const sent: number[] = [];
  a.onSent = (datagram) => void sent.push(datagram[0]!);
  for (let i = 0; i < 20; i++) {
    expect(exchange('still over')).toEqual([]);
    simulation.runFor(S);
  }
  expect(sent).toEqual([]);
  expect(a.peer(b)).toBeDefined(); // credentials and peers are kept
});

test('a new lease brings the sessions back by itself', () => {
  const { exchange, simulation, lease } = pair();
  lease(1);
  expect(exchange('first')).toEqual(['first back', 'first out']);
  simulation.runFor(5 * S);
  expect(exchange('over')).toEqual([]);
  lease(60);
  simulation.runFor(S);
  expect(exchange('again')).toEqual(['again back', 'again out']);
  simulation.runFor(70 * S);
  expect(exchange('over again')).toEqual([]);
});

test('a lease that is extended in time costs no handshake', () => {
  const { exchange, simulation, a, lease } = pair();
  lease(2);
  expect(exchange('first')).toEqual(['first back', 'first out']);
  let initiations = 0;
  a.onSent = (datagram) => {
    if (datagram[0] === 1) initiations++;
  };
  for (let i = 0; i < 60; i++) {
    lease(2);
    simulation.runFor(S);
    expect(exchange(`second ${i}`)).toHaveLength(2);
  }
  expect(initiations).toBe(0);
});
