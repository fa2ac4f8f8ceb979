import type { TransportAeadFactory } from '../../crypto/transport-aead.ts';
import { wasmAead } from '../../crypto/transport-wasm.ts';
import { adoptKernel } from '../../crypto/wasm/loader.ts';
import { wasmMemoryKernel } from '../../crypto/wasm/memory-kernel.ts';
import { AllowedIps } from '../../datapath/allowedips.ts';
import { javascriptKernel, type MemoryKernelFactory } from '../../datapath/checksum.ts';
import { PacketMemory } from '../../datapath/memory.ts';
import type { DataPathParts } from '../../datapath/sinks.ts';
import type { WorkerSetup } from './messages.ts';

/** What a worker's half of the data path is made of. */
export async function dataParts(setup: WorkerSetup, thread: number): Promise<DataPathParts> {
  const memory = new PacketMemory(setup.layout, setup.memory);
  const { aead, kernel } = await implementations(setup);
  return {
    memory,
    thread,
    lane: setup.lane,
    aead: aead(memory.memory, memory.scratch(thread)),
    kernel: kernel(memory.memory),
    allowedIps: new AllowedIps(),
  };
}

/**
 * Control has chosen, compiled and tested the implementation. The worker has the kernels at hand and loads
 * any other: the reference cryptography takes longer to load than all the rest.
 */
async function implementations({
  aead: name,
  kernelModule,
}: WorkerSetup): Promise<{ aead: TransportAeadFactory; kernel: MemoryKernelFactory }> {
  if (name === 'wasm-simd' || name === 'wasm-simd-revec') {
    if (kernelModule !== undefined) adoptKernel(name, kernelModule);
    return { aead: wasmAead(name), kernel: (memory) => wasmMemoryKernel(memory, name) };
  }
  const { TRANSPORT_AEAD_FACTORIES } = await import('../../crypto/transport-select.ts');
  return { aead: TRANSPORT_AEAD_FACTORIES[name], kernel: javascriptKernel };
}
