import v8 from 'node:v8';
import { afterEach, expect, test, vi } from 'vitest';
import { selectTransport } from '../../../src/crypto/transport-select.ts';
import { PacketMemory } from '../../../src/datapath/memory.ts';
import { threadCount, type WorkerSetup } from '../../../src/tunnel/linux/messages.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.resetModules();
});

// Other threads run meanwhile, and V8 aborts if they compile WebAssembly while options change.
test('a worker that is handed the compiled kernel changes no option of the process', async () => {
  const { name, module } = selectTransport({ log: () => {}, environment: {} });
  expect(module).toBeInstanceOf(WebAssembly.Module);
  const layout = { maxPeers: 4, maxKeypairs: 8, threads: threadCount(1), lanes: 1 };
  const { memory, windows } = new PacketMemory(layout);
  const shared = { memory, windows };
  const setup = {
    layout,
    memory: shared,
    aead: name,
    kernelModule: module,
    lane: 0,
  } as WorkerSetup;

  vi.resetModules(); // as in a thread of its own
  const setFlags = vi.spyOn(v8, 'setFlagsFromString');
  const { dataParts } = await import('../../../src/tunnel/linux/data-parts.ts');
  const parts = await dataParts(setup, 0);
  expect([parts.aead.name, parts.kernel.name]).toEqual([name, name]);
  expect(setFlags).not.toHaveBeenCalled();

  vi.resetModules();
  const other = await import('../../../src/tunnel/linux/data-parts.ts');
  await other.dataParts({ ...setup, kernelModule: undefined }, 0);
  expect(setFlags).toHaveBeenCalled();
});
