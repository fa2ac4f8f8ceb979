import { createCipheriv } from 'node:crypto';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { Bench } from 'tinybench';
import { SCRATCH_LENGTH } from '../src/crypto/transport-aead.ts';
import { TRANSPORT_AEAD_FACTORIES } from '../src/crypto/transport-select.ts';
import { median } from '../test/lab/statistics.ts';
import { publish, type Row } from '../test/lab/suite.ts';

/**
 * ChaCha20-Poly1305 by size: the implementations of the transport AEAD, and what noble and
 * node:crypto take when they are called directly, without the copying that a transport needs.
 * They take turns, and ratios are medians over the rounds.
 */

const SIZES = [64, 256, 512, 1024, 1420, 8192, 65_535];
const ROUNDS = 5;
const ROUND_TIME = 60;
/** Work of one round is at least this many bytes, so that the clock is read seldom. */
const BYTES_PER_CALL = 65_536;

/** What the others are compared with: the fastest way to call them. */
const NOBLE = 'noble, called directly';
const NODE = 'node:crypto, called directly';

const KEY = SCRATCH_LENGTH;
const SOURCE = KEY + 64;
const DESTINATION = SOURCE + 65_536;
const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const bytes = new Uint8Array(memory.buffer);
for (let i = 0; i < 32; i++) bytes[KEY + i] = i * 7;

type Work = (length: number) => void;

function transportAeads(): Map<string, { seal: Work; open: Work }> {
  const found = new Map<string, { seal: Work; open: Work }>();
  for (const [name, create] of Object.entries(TRANSPORT_AEAD_FACTORIES)) {
    const aead = create(memory, 0);
    found.set(name, {
      // As the data path seals and opens: one packet behind the other.
      seal: (length) => aead.sealNext(KEY, 1, 0, DESTINATION, SOURCE, length),
      open: (length) => {
        if (!aead.openBefore(KEY, 1, 0, SOURCE, DESTINATION, length, KEY, 1, 0, length)) {
          throw new Error(`${name} fails`);
        }
      },
    });
  }
  return found;
}

/** Encryption only, on plain arrays. */
function directCalls(): Map<string, Work> {
  const key = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
  const nonce = new Uint8Array(12);
  const plaintext = new Uint8Array(SIZES.at(-1)!);
  return new Map<string, Work>([
    [NOBLE, (length) => chacha20poly1305(key, nonce).encrypt(plaintext.subarray(0, length))],
    [
      NODE,
      (length) => {
        const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
        cipher.update(plaintext.subarray(0, length));
        cipher.final();
        cipher.getAuthTag();
      },
    ],
  ]);
}

/** Nanoseconds per call of each, per round. */
async function measure(works: Map<string, Work>, length: number): Promise<Map<string, number[]>> {
  const calls = Math.ceil(BYTES_PER_CALL / length);
  const times = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    const bench = new Bench({ time: ROUND_TIME, warmupTime: round === 0 ? ROUND_TIME : 5 });
    for (const [name, work] of works) {
      bench.add(name, () => {
        for (let i = 0; i < calls; i++) work(length);
      });
    }
    await bench.run();
    for (const { name, result } of bench.tasks) {
      if (result.state !== 'completed') throw new Error(`${name} did not complete`);
      const list = times.get(name) ?? [];
      list.push((result.latency.p50 * 1e6) / calls);
      times.set(name, list);
    }
  }
  return times;
}

const rows: Row[] = [];
const transports = transportAeads();
for (const length of SIZES) {
  const sealing = new Map([...transports].map(([name, { seal }]) => [name, seal]));
  // Opened in the same order: what the first one sealed is there for all.
  transports.values().next().value!.seal(length);
  const opening = new Map([...transports].map(([name, { open }]) => [name, open]));
  const seal = await measure(new Map([...sealing, ...directCalls()]), length);
  transports.values().next().value!.seal(length);
  const open = await measure(opening, length);
  const noble = seal.get(NOBLE)!;
  const node = seal.get(NODE)!;
  for (const [name, times] of seal) {
    const over = (others: number[]) =>
      Number(median(times.map((time, round) => others[round]! / time)).toFixed(2));
    const opened = open.get(name);
    rows.push({
      bytes: length,
      implementation: name,
      'seal ns': Math.round(median(times)),
      'open ns': opened === undefined ? '' : Math.round(median(opened)),
      'seal GB/s': Number((length / median(times)).toFixed(2)),
      'times noble': over(noble),
      'times node': over(node),
    });
  }
}
publish('ChaCha20-Poly1305', rows);
