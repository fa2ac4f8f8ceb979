import { parentPort, workerData } from 'node:worker_threads';
import { SCRATCH_LENGTH, TAG_LENGTH } from '../../src/crypto/transport-aead.ts';
import { selectTransport } from '../../src/crypto/transport-select.ts';

/** What a thread of the test is given. */
export interface ThreadSetup {
  readonly memory: WebAssembly.Memory;
  /** Start of its part of the memory: scratch, key, packet, sealed packet. */
  readonly area: number;
  readonly length: number;
  readonly rounds: number;
}

/** Offsets in an area. */
export const AREA = {
  key: SCRATCH_LENGTH,
  packet: SCRATCH_LENGTH + 64,
  sealed: SCRATCH_LENGTH + 8192,
  length: 65536,
};

/** Seals, opens and compares again and again; reports the implementation and how often it failed. */
function run({ memory, area, length, rounds }: ThreadSetup): void {
  const lines: string[] = [];
  const transport = selectTransport({ log: (line) => lines.push(line), environment: {} });
  const aead = transport.aead(memory, area);
  const bytes = new Uint8Array(memory.buffer);
  const [key, packet, sealed] = [area + AREA.key, area + AREA.packet, area + AREA.sealed];
  const plaintext = Buffer.from(bytes.slice(packet, packet + length));
  let failures = lines.length;
  for (let round = 0; round < rounds; round++) {
    aead.seal(key, round, 1, sealed, packet, length);
    bytes.fill(0, packet, packet + length);
    const isOpen = aead.open(key, round, 1, packet, sealed, length);
    const opened = Buffer.from(bytes.slice(packet, packet + length));
    if (!isOpen || !opened.equals(plaintext)) failures++;
    bytes[sealed + length + (round % TAG_LENGTH)]! ^= 1;
    if (aead.open(key, round, 1, sealed, sealed, length)) failures++;
  }
  parentPort!.postMessage({ name: transport.name, failures });
}

// The runner's own thread may import this file, too.
const setup = workerData as Partial<ThreadSetup> | null;
if (setup?.rounds !== undefined) run(setup as ThreadSetup);
