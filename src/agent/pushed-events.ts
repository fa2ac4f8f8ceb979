import { compareVersions } from '../contract/config.ts';
import { toBase64 } from '../contract/encoding.ts';
import { type Envelope, openEnvelope, PAYLOAD_TYPES } from '../contract/envelope.ts';
import { streamEventSchema } from '../contract/stream-event.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { isTooFar, type OwnIdentity } from './accepted-config.ts';
import type { AgentClock } from './clock.ts';
import type { Mark } from './node-state.ts';

/** An event of the stream, verified: who is out with an epoch. */
export interface PushedEvent extends Mark {
  readonly removed: readonly string[];
}

export interface IgnoredPush {
  readonly ignored: string;
  readonly detail: string;
}

/** A push comes within moments of the commit: later than this (ms) it is being withheld. */
const MAX_BEHIND_MS = 5000;

/** What the stream has told of epochs, signed; heartbeats alone could be anybody's. */
export class PushedEvents {
  private readonly crypto: CryptoProvider;
  private readonly identity: OwnIdentity;
  private readonly clock: AgentClock;
  private mark: Mark = { epoch: 0, version: 0 };
  private envelope: Envelope | undefined;
  /** Since when configs tell of something newer, ms monotonic. */
  private behindSince: number | undefined;

  constructor(crypto: CryptoProvider, identity: OwnIdentity, clock: AgentClock) {
    this.crypto = crypto;
    this.identity = identity;
    this.clock = clock;
  }

  /** The newest event as it was signed, if it is newer than `other`. */
  newerThan(other: Mark | undefined): Envelope | undefined {
    return other && compareVersions(other, this.mark) >= 0 ? undefined : this.envelope;
  }

  /** False: for seconds it has told nothing of what is known otherwise, up to `known`. */
  keepsUpWith(known: Mark): boolean {
    if (compareVersions(known, this.mark) <= 0) {
      this.behindSince = undefined;
      return true;
    }
    this.behindSince ??= this.clock.monotonic();
    return this.clock.monotonic() - this.behindSince < MAX_BEHIND_MS;
  }

  /** Reads an event. `known`: the newest that was acted on. */
  read(data: string, known: Mark): PushedEvent | IgnoredPush {
    const { crypto, identity } = this;
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      return { ignored: 'malformed', detail: 'is not JSON' };
    }
    const opened = openEnvelope(crypto, value, PAYLOAD_TYPES.streamEvent, streamEventSchema, [
      identity.controllerKey,
    ]);
    if (!opened.ok) {
      const isForged = opened.problem.code === 'envelope_signature';
      const { title: detail } = opened.problem;
      return { ignored: isForged ? 'bad_signature' : 'malformed', detail };
    }
    const { mesh_id, epoch, version, removed } = opened.value.document;
    if (mesh_id !== toBase64(identity.meshId)) return { ignored: 'wrong_mesh', detail: mesh_id };
    if (isTooFar({ epoch, version }, known)) {
      return { ignored: 'too_far', detail: `${epoch}.${version}` };
    }
    if (compareVersions({ epoch, version }, this.mark) > 0) {
      this.mark = { epoch, version };
      this.envelope = opened.value.envelope;
    }
    return { epoch, version, removed };
  }
}
