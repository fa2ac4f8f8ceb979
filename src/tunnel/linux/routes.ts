import type { AllowedIps } from '../../datapath/allowedips.ts';
import { NONE } from '../../datapath/memory.ts';
import type { Prefix } from '../../wire/prefix.ts';

/**
 * Changes of allowed-ips on their way to a worker, packed into one array: configurations have
 * 100,000 of them, and as objects they would take seconds to be cloned.
 */

/** One change: i32 peer (NONE removes), u8 prefix length, u8 address length, address. */
const ENTRY = { peer: 0, prefixLength: 4, addressLength: 5, address: 6, length: 22 } as const;
const INITIAL_ENTRIES = 16;

export class RouteChanges {
  private bytes = new Uint8Array(INITIAL_ENTRIES * ENTRY.length);
  private view = new DataView(this.bytes.buffer);
  private count = 0;

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** `peer` NONE takes the prefix away from whoever has it. */
  add(prefix: Prefix, peer: number): void {
    const at = this.count * ENTRY.length;
    if (at === this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.view.setInt32(at + ENTRY.peer, peer, true);
    this.bytes[at + ENTRY.prefixLength] = prefix.length;
    this.bytes[at + ENTRY.addressLength] = prefix.address.length;
    this.bytes.set(prefix.address, at + ENTRY.address);
    this.count++;
  }

  /** What was added, in order; empty afterwards. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.count * ENTRY.length);
    this.count = 0;
    return taken;
  }
}

/** Applies what `take` gave to a table. */
export function applyRouteChanges(changes: Uint8Array, table: AllowedIps): void {
  const view = new DataView(changes.buffer, changes.byteOffset, changes.byteLength);
  for (let at = 0; at < changes.length; at += ENTRY.length) {
    const address = at + ENTRY.address;
    const prefix = {
      address: changes.subarray(address, address + changes[at + ENTRY.addressLength]!),
      length: changes[at + ENTRY.prefixLength]!,
    };
    const peer = view.getInt32(at + ENTRY.peer, true);
    if (peer === NONE) table.remove(prefix);
    else table.insert(prefix, peer);
  }
}
