import { parseAddress } from '../wire/address-text.ts';

/** Requests of one address that may fail verification at once ... */
const BURST = 100;
/** ... and how many again in a second. */
const PER_SECOND = 5;
/** Above this many networks, the one that was charged longest ago is forgotten. */
const MAX_NETWORKS = 10_000;

/**
 * What verifying costs is paid by whoever sends what does not verify: an address that has done so too
 * often is turned away before anything of it is verified. Who sends true signatures never pays.
 */
export class AddressBudget {
  private readonly now: () => number;
  /** When each network's budget is whole again, ms of `now`. */
  private readonly wholeAt = new Map<string, number>();

  /** `now`: a clock in ms. */
  constructor(now: () => number) {
    this.now = now;
  }

  isSpent(address: string): boolean {
    const wholeAt = this.wholeAt.get(networkOf(address));
    return wholeAt !== undefined && wholeAt - this.now() > (BURST / PER_SECOND) * 1000;
  }

  /** Something from this address did not verify. */
  charge(address: string): void {
    const network = networkOf(address);
    const wholeAt = Math.max(this.now(), this.wholeAt.get(network) ?? 0) + 1000 / PER_SECOND;
    this.wholeAt.delete(network); // so that the order is that of the last charge
    this.wholeAt.set(network, wholeAt);
    if (this.wholeAt.size <= MAX_NETWORKS) return;
    this.wholeAt.delete(this.wholeAt.keys().next().value!);
  }
}

/** Whoever has one IPv6 address has its /64 (RFC 6177), so that is what pays. */
function networkOf(address: string): string {
  const bytes = address.includes(':') ? parseAddress(address.replace(/%.*$/, '')) : undefined;
  if (bytes?.length !== 16) return address;
  return Buffer.from(bytes.subarray(0, 8)).toString('hex');
}
