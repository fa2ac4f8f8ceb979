import { Allowances } from './allowances.ts';
import { networkOf } from './network-of.ts';

/** Requests of one network that may fail verification: so many at once, and again at this interval. */
const FAILURES = { burst: 100, intervalMs: 200, maxKeys: 10_000 };
/** Keys with a standing somewhere: above this many, the one that was true longest ago loses it. */
const MAX_STANDING = 50_000;

/**
 * What verifying costs is paid by whoever sends what does not verify: a network that has done so too
 * often is turned away before anything of it is verified. A key whose signatures verified from there
 * before is heard all the same, until one in its name does not: a member goes on beside a forger that
 * shares its address.
 */
export class AddressBudget {
  private readonly now: () => number;
  private readonly failures = new Allowances(FAILURES);
  private readonly standing = new Set<string>();

  /** `now`: a clock in ms. */
  constructor(now: () => number) {
    this.now = now;
  }

  /** Whether nothing from this address is to be verified that is said to be signed by `keyid`. */
  isSpent(address: string, keyid?: string): boolean {
    const network = networkOf(address);
    if (this.failures.has(network, this.now())) return false;
    return keyid === undefined || !this.standing.has(`${network} ${keyid}`);
  }

  /** A signature by this key, from this address, verified. */
  vouch(address: string, keyid: string): void {
    const who = `${networkOf(address)} ${keyid}`;
    this.standing.delete(who);
    this.standing.add(who);
    if (this.standing.size <= MAX_STANDING) return;
    this.standing.delete(this.standing.keys().next().value!);
  }

  /** Something from this address did not verify; it may have named a key. */
  charge(address: string, keyid?: string): void {
    const network = networkOf(address);
    this.failures.take(network, this.now());
    if (keyid !== undefined) this.standing.delete(`${network} ${keyid}`);
  }

  /** How many networks and keys it remembers. */
  get size(): number {
    return this.failures.size + this.standing.size;
  }
}
