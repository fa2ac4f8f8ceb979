import { expect } from 'vitest';
import { writeU32 } from '../../src/wire/message-type.ts';
import { fromHex } from '../lab/vectors.ts';
import type { CookieReplyStep, InitiationStep, ResponseStep } from './recording.ts';

const TAI64_BASE = 0x400000000000000an;

/** Randomness and wall clock of a device that is to do what a recorded one did. */
export class RecordedSecrets {
  private draws: Uint8Array[] = [];
  private wall = 0;
  private anything = false;

  readonly random = (length: number): Uint8Array => {
    if (this.draws[0]?.length === length) return this.draws.shift()!;
    // The jitter of timers is drawn, too, and is behind no byte on record.
    if (!this.anything) expect(length, 'drawn, but not in the recording').toBe(4);
    return new Uint8Array(length);
  };

  readonly wallClock = (): number => this.wall;

  /** Lets the next message be made of the secrets of a recorded one. */
  use(step: InitiationStep | ResponseStep | CookieReplyStep): void {
    if (step.type === 'cookie-reply') {
      this.draws = [fromHex(step.cookie_secret), fromHex(step.cookie_nonce)];
      return;
    }
    const index = new Uint8Array(4);
    writeU32(index, 0, step.sender_index);
    this.draws = [fromHex(step.ephemeral_private), index];
    if (step.type !== 'initiation') return;
    const label = new DataView(fromHex(step.timestamp).buffer);
    const nanoseconds =
      (label.getBigUint64(0) - TAI64_BASE) * 1_000_000_000n + BigInt(label.getUint32(8));
    // A whole millisecond that whitening takes back to the label: it clears 16.8 ms.
    this.wall = Number((nanoseconds + 999_999n) / 1_000_000n);
  }

  /** From here on what is drawn is not compared with anything. */
  allowAnything(): void {
    this.anything = true;
  }
}
