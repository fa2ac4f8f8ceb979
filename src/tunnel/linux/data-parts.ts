import { nodeProvider } from '../../crypto/node.ts';
import type { TransportAeadFactory } from '../../crypto/transport-aead.ts';
import { AllowedIps } from '../../datapath/allowedips.ts';
import { javascriptKernel } from '../../datapath/checksum.ts';
import { PacketMemory } from '../../datapath/memory.ts';
import type { DataPathParts } from '../../datapath/sinks.ts';
import type { WorkerSetup } from './messages.ts';

/** What a worker's half of the data path is made of. */
export function dataParts(setup: WorkerSetup, thread: number): DataPathParts {
  const memory = new PacketMemory(setup.layout, setup.memory);
  return {
    memory,
    thread,
    aead: copyingAead(memory.memory, memory.scratch(thread)),
    kernel: javascriptKernel(memory.memory),
    allowedIps: new AllowedIps(),
  };
}

const NOTHING = new Uint8Array(0);
const copyingAead: TransportAeadFactory = (memory) => {
  const u8 = new Uint8Array(memory.buffer);
  const copy = (offset: number, length: number): Uint8Array =>
    new Uint8Array(u8.subarray(offset, offset + length));
  const counter = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);
  return {
    name: 'copying',
    seal(key, low, high, destination, source, length) {
      const sealed = nodeProvider.aeadSeal(
        copy(key, 32),
        counter(low, high),
        copy(source, length),
        NOTHING,
      );
      u8.set(sealed, destination);
    },
    open(key, low, high, destination, source, length) {
      const opened = nodeProvider.aeadOpen(
        copy(key, 32),
        counter(low, high),
        copy(source, length + 16),
        NOTHING,
      );
      if (opened !== undefined) u8.set(opened, destination);
      return opened !== undefined;
    },
  };
};
