import { compareVersions } from '../contract/config.ts';
import { equalBytes, toBase64 } from '../contract/encoding.ts';
import { type Header, openHeader, unpackHeader } from '../contract/epoch/header.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { isTooFar, type OwnIdentity } from './accepted-config.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';
import type { NodeState } from './node-state.ts';

export interface HeaderChainOptions {
  readonly crypto: CryptoProvider;
  readonly identity: OwnIdentity;
  readonly state: NodeState;
  readonly counters: Counters;
  readonly emit: EmitEvent;
  /** Asks the controller for the header of an epoch, or for the newest; undefined: it keeps none. */
  readonly fetch: (epoch: number | undefined) => Promise<unknown>;
  /** Whether there is a membership that a header could take away or change. */
  readonly isInForce: () => boolean;
  /** Why a header that follows `before` is not to be taken; undefined: it may be. */
  readonly fault: (before: Header | undefined, header: Header) => Promise<string | undefined>;
  /** Called with each header that is taken, in order: what it takes away waits for nothing. */
  readonly onTaken: (header: Header) => Promise<void>;
}

/**
 * `taken`       it is the newest now
 * `held`        it is the newest already
 * `older`       it is not newer
 * `split_view`  it contradicts one that is held: kept as evidence, never acted upon
 * `unlinked`    what lies between it and the one held cannot be had
 * `invalid`     no header of this mesh
 */
export type HeaderOutcome = 'taken' | 'held' | 'older' | 'split_view' | 'unlinked' | 'invalid';

/** So many hashes of past headers are remembered, so that another story about one of them shows. */
const REMEMBERED = 64;
/** A controller keeps so many headers: nobody who missed more can be shown how one led to the other. */
const MAX_MISSED = 1440;
/** A restored controller jumps so far ahead, by the word of its admin; what lies between never was. */
const RESTORED_JUMP = 1_000_000;

/**
 * The headers that this node has seen, each naming the one before. Whoever signs two for one epoch, or
 * one that does not follow from what was said before, cannot take either back: both are kept.
 */
export class HeaderChain {
  private readonly options: HeaderChainOptions;
  private newest: Header | undefined;
  /** By version. */
  private readonly past = new Map<number, Header>();
  /** Hashes of headers that were reported, so that each is reported once. */
  private readonly reported = new Set<string>();
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: HeaderChainOptions) {
    this.options = options;
    const kept = options.state.readHeader();
    const opened = kept && this.open(kept);
    if (opened) this.remember(opened);
  }

  /** The newest header that was taken; undefined before the first. */
  get held(): Header | undefined {
    return this.newest;
  }

  /** Whether two headers were seen that cannot both be true, since the start. */
  get isContradicted(): boolean {
    return this.reported.size > 0;
  }

  /** Holds a header that somebody else was given against those seen here; it is not taken. */
  compare(value: unknown): Promise<void> {
    return this.inTurn(async () => {
      const header = this.open(value);
      const known = header && this.past.get(header.document.version);
      if (header && known && !equalBytes(known.hash, header.hash)) {
        await this.splitView(known, header);
      }
    });
  }

  /** The same for one that was packed. */
  comparePacked(packed: Uint8Array): Promise<void> {
    const { crypto, identity } = this.options;
    return this.compare(unpackHeader(crypto, identity.controllerKey, packed));
  }

  /** Once all headers that came so far have been judged. */
  async settled(): Promise<void> {
    await this.turn;
  }

  /** Takes a header that came, with those between it and the one held. */
  take(value: unknown): Promise<HeaderOutcome> {
    return this.inTurn(() => this.judge(value));
  }

  /** The header with this hash (32 bytes), asked for if it is not held; undefined if it cannot be taken. */
  obtain(hash: Uint8Array): Promise<Header | undefined> {
    return this.inTurn(async () => {
      if (!this.holds(hash)) await this.judge(await this.options.fetch(undefined));
      return this.holds(hash) ? this.newest : undefined;
    });
  }

  /** Whether this is the hash (32 bytes) of the newest. */
  holds(hash: Uint8Array): boolean {
    return this.newest !== undefined && equalBytes(this.newest.hash, hash);
  }

  private async judge(value: unknown): Promise<HeaderOutcome> {
    const header = this.open(value);
    if (header === undefined) return this.ignored('invalid', 'is not signed for this mesh');
    const { newest: held } = this;
    if (held === undefined) return this.keep(undefined, header);
    if (equalBytes(held.hash, header.hash)) return 'held';
    const known = this.past.get(header.document.version);
    if (known !== undefined && !equalBytes(known.hash, header.hash)) {
      return this.splitView(known, header);
    }
    const { document } = header;
    if (document.version <= held.document.version) {
      // One and the same version was told apart above, if it is remembered at all.
      if (compareVersions(document, held.document) > 0) return this.splitView(held, header);
      this.options.counters.add('header_older');
      return 'older';
    }
    if (document.epoch <= held.document.epoch) return this.splitView(held, header);
    if (isTooFar(document, held.document)) return this.ignored('invalid', 'is too far ahead');
    return this.follow(held, header);
  }

  /** Goes from the one held to a newer one, step by step. What was reached counts, whatever comes then. */
  private async follow(held: Header, header: Header): Promise<HeaderOutcome> {
    const steps = header.document.version - held.document.version;
    if (steps >= RESTORED_JUMP || (steps > MAX_MISSED && !this.options.isInForce())) {
      return this.leap(held, header);
    }
    let last = held;
    while (last.document.version + 1 < header.document.version) {
      const next = await this.fetched(last.document.epoch + 1);
      if (next?.document.version !== last.document.version + 1) {
        return this.ignored('unlinked', `epoch ${last.document.epoch + 1} before it cannot be had`);
      }
      if (!follows(last, next)) return this.splitView(last, next);
      const fault = await this.options.fault(last, next);
      if (fault !== undefined) return this.ignored('invalid', fault);
      this.remember(next);
      await this.options.onTaken(next);
      last = next;
    }
    return follows(last, header) ? this.keep(last, header) : this.splitView(last, header);
  }

  private async fetched(epoch: number): Promise<Header | undefined> {
    const value = await this.options.fetch(epoch);
    const header = value === undefined ? undefined : this.open(value);
    return header?.document.epoch === epoch ? header : undefined;
  }

  /** Where nothing links the two, and nothing can: taken, and said aloud. */
  private async leap(held: Header, header: Header): Promise<HeaderOutcome> {
    const { counters, emit } = this.options;
    counters.add('header_leaps');
    const { epoch, version } = header.document;
    emit({ event: 'header_leap', epoch, version, held: held.envelope, taken: header.envelope });
    return this.keep(undefined, header);
  }

  private async keep(before: Header | undefined, header: Header): Promise<HeaderOutcome> {
    const fault = await this.options.fault(before, header);
    if (fault !== undefined) return this.ignored('invalid', fault);
    await this.options.state.writeHeader(header.envelope); // before it has any effect
    this.remember(header);
    this.options.counters.add('headers');
    await this.options.onTaken(header);
    return 'taken';
  }

  private remember(header: Header): void {
    this.newest = header;
    this.past.set(header.document.version, header);
    const oldest = this.past.keys().next().value;
    if (this.past.size > REMEMBERED && oldest !== undefined) this.past.delete(oldest);
  }

  private async splitView(held: Header, other: Header): Promise<HeaderOutcome> {
    const { counters, emit, state } = this.options;
    const name = toBase64(other.hash);
    counters.add('split_views');
    if (this.reported.has(name)) return 'split_view';
    if (this.reported.size >= REMEMBERED) this.reported.clear();
    this.reported.add(name);
    const { epoch, version } = other.document;
    const evidence = { held: held.envelope, other: other.envelope };
    emit({ event: 'split_view', epoch, version, ...evidence });
    await state.keepSplitView(evidence);
    return 'split_view';
  }

  private ignored(outcome: 'invalid' | 'unlinked', detail: string): HeaderOutcome {
    this.options.counters.add(`header_ignored_${outcome}`);
    this.options.emit({ event: 'ignored', what: 'header', reason: outcome, detail });
    return outcome;
  }

  private open(value: unknown): Header | undefined {
    const { crypto, identity } = this.options;
    const opened = openHeader(crypto, value, toBase64(identity.meshId), [identity.controllerKey]);
    return opened.ok ? opened.value : undefined;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.turn.then(work);
    this.turn = turn.catch(() => {});
    return turn;
  }
}

function follows(before: Header, header: Header): boolean {
  if (header.document.epoch <= before.document.epoch) return false;
  return header.previous !== undefined && equalBytes(header.previous, before.hash);
}
