import type { CryptoProvider } from '../crypto/provider.ts';
import {
  type AcceptedConfig,
  type IgnoredConfig,
  type Judgement,
  judgeConfig,
  type OwnIdentity,
} from './accepted-config.ts';
import type { AgentClock } from './clock.ts';
import { misfit } from './config-header.ts';
import type { ConfigAnswer, ControllerClient } from './controller-client.ts';
import type { HeaderChain } from './header-chain.ts';
import type { LogCheck } from './log-check.ts';
import type { Membership } from './membership.ts';
import type { NodeState } from './node-state.ts';
import { pinCheck } from './pins.ts';
import { RecordCache } from './record-cache.ts';

export interface ConfigFetcherOptions {
  readonly client: ControllerClient;
  readonly membership: Membership;
  readonly state: NodeState;
  readonly identity: OwnIdentity;
  readonly signingSeed: Uint8Array;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly headers: HeaderChain;
  readonly log: LogCheck;
}

/** Asks for configs, and whether what is told fits all that the controller has signed. */
export class ConfigFetcher {
  private readonly options: ConfigFetcherOptions;
  private readonly records: RecordCache;

  constructor(options: ConfigFetcherOptions) {
    this.options = options;
    this.records = new RecordCache(options.crypto);
  }

  /** The answer to a request for the config; one without a body: it is the one in force. */
  fetch(signal: AbortSignal): Promise<ConfigAnswer> {
    const { client, identity, signingSeed } = this.options;
    return client.getConfig(identity.nodeId, signingSeed, this.etag(), signal);
  }

  /** What is in an answer, and whether it may be put in force. */
  async judge(answer: ConfigAnswer): Promise<Judgement> {
    const { client, identity, membership, crypto, clock, state } = this.options;
    const pins = pinCheck(state.readPins(), identity.epochS);
    const judged = await judgeConfig(
      crypto,
      identity,
      answer,
      membership.mark,
      clock.boot(),
      pins,
      this.records,
    );
    if ('ignored' in judged) return judged;
    const refused = await this.refusal(judged.config);
    if (refused !== undefined) return refused;
    client.learnTime(judged.config.document.issued_at);
    return judged;
  }

  /** Nothing is taken any more from whoever keeps two logs. */
  async unlessForked(judged: Judgement): Promise<Judgement> {
    if ('ignored' in judged) return judged;
    return (await this.forked(judged.config)) ?? judged;
  }

  private async forked(config: AcceptedConfig): Promise<IgnoredConfig | undefined> {
    const detail = await this.options.log.contradiction(config.checkpoint);
    if (detail === undefined) return undefined;
    await this.removeMissing(config);
    return { ignored: 'forked_log', detail };
  }

  /** Why a config does not fit what the controller has signed for everybody; undefined if it does. */
  private async refusal(config: AcceptedConfig): Promise<IgnoredConfig | undefined> {
    const { headers } = this.options;
    const { document, header } = config;
    const forked = await this.forked(config);
    if (forked !== undefined) return forked;
    if (header === undefined) {
      if (headers.held === undefined) return undefined;
      return { ignored: 'no_header', detail: 'it names no header, and there were some before' };
    }
    if (!headers.holds(header.hash)) await this.removeMissing(config);
    const named = await headers.obtain(header.hash);
    if (named === undefined) {
      return { ignored: 'no_header', detail: 'the header that it names cannot be taken' };
    }
    const detail = misfit(document, header, named);
    return detail === undefined ? undefined : { ignored: 'wrong_members', detail };
  }

  /** What a config takes away does not wait until it is known whether it fits. */
  private async removeMissing({ document, peers }: AcceptedConfig): Promise<void> {
    const { membership, identity } = this.options;
    const since = new Map(peers.items.map((peer) => [peer.nodeId, peer.sinceEpoch]));
    // Whoever has been out in between goes as well, and comes back with what fits.
    const missing = [...membership.peers.values()]
      .filter((peer) => since.get(peer.nodeId) !== peer.sinceEpoch)
      .map((peer) => peer.nodeId);
    await membership.removeAtOnce(document, missing, identity.nodeId);
  }

  /** A 304 does not extend the lifetime, so it is asked for only while most of that is left. */
  private etag(): string | undefined {
    const { membership, clock } = this.options;
    const config = membership.inForce;
    if (!config) return undefined;
    const { mark } = membership;
    const { epoch, version, lifetime_s } = config.document;
    if (epoch !== mark.epoch || version !== mark.version) return undefined;
    const left = config.expiresAt - clock.boot();
    return left > (2 / 3) * lifetime_s ? config.etag : undefined;
  }
}
