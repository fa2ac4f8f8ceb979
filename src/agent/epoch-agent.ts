import { fromBase64, parseJson } from '../contract/encoding.ts';
import { type KeysAnswer, keysAnswerSchema } from '../contract/epoch/keys-answer.ts';
import { violation } from '../contract/schema.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { IgnoredConfig, Judgement, OwnIdentity } from './accepted-config.ts';
import type { AgentClock } from './clock.ts';
import type { ControllerClient } from './controller-client.ts';
import type { Counters } from './counters.ts';
import { EpochFollower } from './epoch-follower.ts';
import type { EmitEvent } from './events.ts';
import { HeaderChain } from './header-chain.ts';
import { judgeLease, type Lease } from './lease.ts';
import type { LogCheck } from './log-check.ts';
import type { Membership } from './membership.ts';
import type { NodeState } from './node-state.ts';
import { pinCheck } from './pins.ts';

export interface EpochAgentOptions {
  readonly client: ControllerClient;
  readonly membership: Membership;
  readonly state: NodeState;
  readonly identity: OwnIdentity;
  readonly signingSeed: Uint8Array;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly counters: Counters;
  readonly emit: EmitEvent;
  readonly log: LogCheck;
}

/** Follows epochs by headers, leases and sealed keys. */
export class EpochAgent {
  readonly headers: HeaderChain;
  private readonly options: EpochAgentOptions;
  private readonly follower: EpochFollower;
  /** The newest that was put in force. */
  private lease: Lease | undefined;

  constructor(options: EpochAgentOptions) {
    this.options = options;
    const { client, signingSeed, membership, identity, log } = options;
    const { nodeId } = identity;
    const never = new AbortController().signal; // each call has its own time limit
    this.headers = new HeaderChain({
      ...options,
      fetch: (epoch) => client.getHeader(signingSeed, epoch),
      isInForce: () => membership.state === 'member',
      fault: (before, header) =>
        log.ofHeader(before?.document.checkpoint, header.document.checkpoint),
      onTaken: ({ document }) =>
        membership.removeAtOnce(document, document.changes.removed, nodeId).then(() => {}),
    });
    this.follower = new EpochFollower({
      ...options,
      fetchKeys: (since) => client.getKeys(nodeId, signingSeed, since, never),
      fetchPiece: (name) => client.getPiece(name, never),
      readKeys,
    });
  }

  /** Asks for a lease and for what it needs. `config`: the keys of its epoch are in configs. */
  async fetch(signal: AbortSignal): Promise<Judgement | 'config'> {
    const { client, crypto, identity, signingSeed, membership, clock } = this.options;
    const answer = await client.getLease(identity.nodeId, signingSeed, signal);
    const lease = judgeLease(crypto, identity, answer, membership.mark);
    if ('ignored' in lease) return lease;
    const { document } = lease;
    client.learnTime(document.now);
    if (!document.allowed) {
      await membership.removeAtOnce(document, [identity.nodeId], identity.nodeId);
    }
    const header = await this.headers.obtain(fromBase64(document.header, 32)!);
    if (header === undefined) return ignore('no_header', 'the header of its epoch cannot be taken');
    if (header.document.keys === 'config') return 'config';
    const judged = await this.follower.follow(lease, header, this.pins());
    if ('ignored' in judged) return judged;
    if (clock.boot() >= judged.config.expiresAt) return ignore('expired', 'came after its time');
    this.lease = lease;
    return judged;
  }

  /** Data of the event `keys`. Undefined: there is nothing in it to go on with, so a lease is due. */
  async keysPushed(data: string): Promise<Judgement | undefined> {
    const answer = readKeys(parseJson(new TextEncoder().encode(data)));
    if (answer === undefined) return ignore('malformed', 'these are no keys of an epoch');
    await this.headers.settled(); // the header came before on the same stream
    const header = this.headers.held;
    if (!this.lease?.document.allowed || header === undefined) return undefined;
    return this.follower.pushed(this.lease, header, answer, this.pins());
  }

  private pins() {
    const { state, identity } = this.options;
    return pinCheck(state.readPins(), identity.epochS);
  }
}

function readKeys(value: unknown): KeysAnswer | undefined {
  return violation(keysAnswerSchema, value) ? undefined : (value as KeysAnswer);
}

function ignore(ignored: IgnoredConfig['ignored'], detail: string): IgnoredConfig {
  return { ignored, detail };
}
