import { expect, test } from 'vitest';
import { connect, payloadOf, Simulation } from '../lab/simulation.ts';

test('an answer given while a packet is delivered reaches a peer that has just restarted', () => {
  const simulation = new Simulation(11);
  const [client, server] = [simulation.addNode(), simulation.addNode()];
  connect(client, server);
  server.onPacket = (packet) => server.sendTo(client, payloadOf(packet).slice());
  let answers = 0;
  client.onPacket = () => answers++;
  for (let start = 1; start <= 4; start++) {
    client.sendTo(server, Uint8Array.of(start));
    simulation.runFor(1000);
    expect(answers, `after start ${start}`).toBe(start);
    expect(client.drops.unknownReceiverIndex).toBeUndefined();
    client.restart();
    client.configure({ peers: [server.asPeer()] });
  }
});
