import { KEYPAIR, type PacketMemory } from './memory.ts';

/**
 * A lane lets go of one of a keypair's keys: it never uses it again. The last lane to do so zeroes
 * the key. Any earlier, and a lane that has not been told yet would seal with a key of zeros.
 */
export function letGoOfKey(memory: PacketMemory, slot: number, half: 'send' | 'receive'): void {
  const at = memory.keypair(slot);
  const holders = at + (half === 'send' ? KEYPAIR.sendHolders : KEYPAIR.receiveHolders);
  if (Atomics.sub(memory.i32, holders >> 2, 1) !== 1) return;
  const key = at + (half === 'send' ? KEYPAIR.sendKey : KEYPAIR.receiveKey);
  memory.u8.fill(0, key, key + 32);
}
