import { expect, test } from 'vitest';
import { selectTransport } from '../../src/crypto/transport-select.ts';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { PacketMemory } from '../../src/datapath/memory.ts';
import { WARM_UP_SLOTS, warmUpInbound, warmUpOutbound } from '../../src/datapath/warm-up.ts';

test.each([1, 2])('dry runs of lane %i of as many leave the shared memory as it was', (lanes) => {
  const threads = 2 * lanes;
  const [peers, keypairs] = [3, 6];
  const own = WARM_UP_SLOTS({ threads });
  const memory = new PacketMemory({
    maxPeers: peers + own,
    maxKeypairs: keypairs + own,
    threads,
    lanes,
  });
  // Control configures its peers meanwhile.
  memory.u8.fill(0xaa, memory.keypair(0), memory.keypair(keypairs));
  memory.u8.fill(0xaa, memory.peer(0), memory.peer(peers));
  const { aead, memoryKernel } = selectTransport({ log: () => {} });
  const [outbound, inbound] = [threads - 2, threads - 1].map((thread) => ({
    memory,
    thread,
    lane: lanes - 1,
    aead: aead(memory.memory, memory.scratch(thread)),
    kernel: memoryKernel!(memory.memory),
    allowedIps: new AllowedIps(),
  })) as [Parameters<typeof warmUpOutbound>[0], Parameters<typeof warmUpInbound>[0]];
  const scratch = [threads - 2, threads - 1].map((thread) => memory.scratch(thread));
  const before = memory.u8.slice();
  warmUpOutbound(outbound);
  warmUpInbound(inbound);
  const after = memory.u8.slice();
  for (const bytes of [before, after]) {
    // The cipher's own working space is written anew for each packet.
    for (const at of scratch) bytes.fill(0, at, memory.counters(0) - memory.scratch(0) + at);
  }
  expect(Buffer.compare(before, after)).toBe(0);
  expect(outbound.allowedIps.lookup4(new DataView(Uint8Array.of(10, 0, 0, 1).buffer), 0)).toBe(-1);
});
