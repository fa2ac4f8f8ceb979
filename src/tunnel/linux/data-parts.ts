import { selectTransport } from '../../crypto/transport-select.ts';
import { AllowedIps } from '../../datapath/allowedips.ts';
import { javascriptKernel } from '../../datapath/checksum.ts';
import { PacketMemory } from '../../datapath/memory.ts';
import type { DataPathParts } from '../../datapath/sinks.ts';
import type { WorkerSetup } from './messages.ts';

/** What a worker's half of the data path is made of. `log`: an implementation did not work here. */
export function dataParts(
  setup: WorkerSetup,
  thread: number,
  log: (message: string) => void,
): DataPathParts {
  const memory = new PacketMemory(setup.layout, setup.memory);
  const transport = selectTransport({ log });
  return {
    memory,
    thread,
    aead: transport.aead(memory.memory, memory.scratch(thread)),
    kernel: (transport.memoryKernel ?? javascriptKernel)(memory.memory),
    allowedIps: new AllowedIps(),
  };
}
