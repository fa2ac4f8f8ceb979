import { fromBase64, toBase64 } from '../contract/encoding.ts';
import { consistencySchema } from '../contract/record/consistency.ts';
import { type MeshCheckpoint, openMeshCheckpoint } from '../contract/record/mesh-checkpoint.ts';
import { violation } from '../contract/schema.ts';
import { constantTimeEqual } from '../crypto/bytes.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { verifyConsistency } from '../record/merkle.ts';
import { formatNote } from '../record/note.ts';
import type { OwnIdentity } from './accepted-config.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';
import type { NodeState } from './node-state.ts';

export interface LogCheckOptions {
  readonly crypto: CryptoProvider;
  readonly identity: Pick<OwnIdentity, 'meshId' | 'controllerKey'>;
  readonly state: NodeState;
  readonly counters: Counters;
  readonly emit: EmitEvent;
  /** Asks the controller for the proof that the log of `size` leaves extends that of `oldSize`. */
  readonly fetch: (oldSize: number, size: number) => Promise<unknown>;
}

/**
 * Holds the mesh to what its log said before. Every config brings a checkpoint; each must extend the
 * last one that was proven to. Whoever signs two that do not go together cannot take either back: both
 * are kept, and from then on no config is acted upon, so that this node is out at its lifetime.
 */
export class LogCheck {
  /** What contradicts the log as it was told before; undefined while nothing does. */
  fork: string | undefined;
  private readonly options: LogCheckOptions;
  private proven: MeshCheckpoint | undefined;
  /** Of the newest header. */
  private ofHeaders: MeshCheckpoint | undefined;
  private isProving = false;

  constructor(options: LogCheckOptions) {
    this.options = options;
    const kept = options.state.readCheckpoint();
    this.proven =
      kept === undefined ? undefined : openMeshCheckpoint(options.crypto, options.identity, kept);
  }

  /** Leaves of the last checkpoint that was proven to extend those before; 0: none was. */
  get size(): number {
    return this.proven?.size ?? 0;
  }

  /**
   * Takes in the checkpoint of a config. Why the config is not to be acted upon; undefined: nothing is
   * known against it. A proof is asked for in the background: taking effect does not wait for it.
   */
  async contradiction(checkpoint: string | undefined): Promise<string | undefined> {
    if (this.fork !== undefined) return this.fork;
    const { proven } = this;
    if (checkpoint === undefined) {
      return proven === undefined
        ? undefined
        : 'it has no checkpoint of the log, and there were some';
    }
    const { crypto, identity } = this.options;
    const told = openMeshCheckpoint(crypto, identity, checkpoint);
    if (told === undefined) return 'its checkpoint is not signed by the mesh, or of another log';
    if (proven === undefined || told.series > proven.series) return void (await this.take(told));
    if (isBack(proven, told)) {
      return this.forked(told, `the log went back from ${proven.size} to ${told.size} leaves`);
    }
    if (told.size > proven.size) return void this.prove(proven, told);
    return this.compare(told);
  }

  /**
   * Takes in a checkpoint that came some other way, whoever brought it: two of one size with different
   * roots are a fork, beside what was proven here or beside `held`. Anything else proves nothing.
   */
  async compare(told: MeshCheckpoint, held?: MeshCheckpoint): Promise<string | undefined> {
    for (const one of [this.proven, this.ofHeaders, held]) {
      if (one?.series !== told.series || one.size !== told.size) continue;
      if (constantTimeEqual(one.root, told.root)) continue;
      return this.forked(told, `there are two logs of ${told.size} leaves`, one);
    }
    return undefined;
  }

  /**
   * Takes in what a header says of the log, after the one before it. Why the header is not to be taken;
   * undefined: it may be. That it goes on from what was proven is proven with the next config or lease.
   */
  async ofHeader(
    before: string | undefined,
    checkpoint: string | undefined,
  ): Promise<string | undefined> {
    if (this.fork !== undefined) return this.fork;
    if (checkpoint === undefined) {
      return before && 'it has no checkpoint of the log, and the header before it has one';
    }
    const { crypto, identity } = this.options;
    const told = openMeshCheckpoint(crypto, identity, checkpoint);
    if (told === undefined) return 'its checkpoint is not signed by the mesh, or of another log';
    const earlier = before && openMeshCheckpoint(crypto, identity, before);
    if (earlier && isBack(earlier, told)) {
      const what = `the log went back from ${earlier.size} to ${told.size} leaves`;
      return this.forked(told, what, earlier);
    }
    const other = await this.compare(told, earlier || undefined);
    if (other === undefined) this.ofHeaders = told;
    return other;
  }

  private async prove(from: MeshCheckpoint, to: MeshCheckpoint): Promise<void> {
    if (this.isProving) return; // the next config asks for what holds then
    this.isProving = true;
    const { crypto, fetch, counters } = this.options;
    const { ofHeaders } = this;
    // What the headers say of the log is no other story than what configs and leases say.
    const between = ofHeaders?.series === to.series && isBetween(from, ofHeaders, to);
    const steps = between ? [ofHeaders, to] : [to];
    try {
      for (const next of steps) {
        const last = this.proven ?? from;
        const answer = await fetch(last.size, next.size);
        if (violation(consistencySchema, answer) !== undefined) throw new Error('is no proof');
        const { proof } = answer as { readonly proof: readonly string[] };
        if (!extendsIt(crypto, last, next, proof)) {
          const what = `its ${next.size} leaves do not begin with the ${last.size} told before`;
          await this.forked(next, what, last);
          return;
        }
        await this.take(next);
      }
    } catch {
      counters.add('log_unproven'); // no answer proves nothing, neither way
    } finally {
      this.isProving = false;
    }
  }

  private async take(told: MeshCheckpoint): Promise<void> {
    const { state, counters } = this.options;
    await state.writeCheckpoint(formatNote(told.note));
    this.proven = told;
    counters.add('log_proven');
  }

  private async forked(
    told: MeshCheckpoint,
    what: string,
    held: MeshCheckpoint = this.proven!,
  ): Promise<string> {
    const { state, emit, counters, identity } = this.options;
    if (this.fork !== undefined) return this.fork;
    await state.keepForkedLog({
      controller_key: toBase64(identity.controllerKey),
      held: formatNote(held.note),
      other: formatNote(told.note),
    });
    this.fork = what;
    counters.add('log_forks');
    emit({ event: 'forked_log', detail: what });
    return what;
  }
}

function isBack(before: MeshCheckpoint, told: MeshCheckpoint): boolean {
  return told.series < before.series || (told.series === before.series && told.size < before.size);
}

function isBetween(from: MeshCheckpoint, one: MeshCheckpoint, to: MeshCheckpoint): boolean {
  return from.size < one.size && one.size < to.size;
}

/** Whether the log of `next` begins with that of `last`, by hashes in base64. */
function extendsIt(
  crypto: CryptoProvider,
  last: MeshCheckpoint,
  next: MeshCheckpoint,
  proof: readonly string[],
): boolean {
  if (next.series !== last.series || next.size < last.size) return false;
  const hashes = proof.map((hash) => fromBase64(hash, 32)!);
  return verifyConsistency(crypto, last.size, last.root, next.size, next.root, hashes);
}
