import type { ProblemCode } from '../contract/problems.ts';
import type { Asked } from '../contract/record/leaf.ts';

/** What the verdict on a node became in an epoch, where it is not what it was. */
export interface VerdictChange {
  readonly node: string;
  readonly allowed: boolean;
  /** Whether it was allowed before; null: no epoch had decided about it. */
  readonly before: boolean | null;
  readonly reason: string;
  readonly explanation: string;
}

/**
 * What happens in a controller. Whoever has something to do with it (the log, metrics, pushes,
 * status.json) subscribes to the spine; nobody else is told. Never contains a secret. Times: the
 * controller's clock, ms.
 */
export type ControllerEvent =
  | { readonly event: 'started'; readonly mesh_id: string; readonly url: string }
  /**
   * The system lets this process have fewer descriptors (RLIMIT_NOFILE) than it needs for as many members
   * as the mesh has addresses.
   */
  | {
      readonly event: 'descriptors_short';
      readonly descriptors: number;
      readonly descriptors_needed: number;
      readonly connections: number;
      /** That it has room for, and how many addresses there are. */
      readonly members: number;
      readonly addresses: number;
    }
  /** Connections from now on are served with it. `expires_at`: ms since 1970. */
  | { readonly event: 'certificate_used'; readonly names: string; readonly expires_at: number }
  | { readonly event: 'monitors_served'; readonly url: string }
  | { readonly event: 'admins_served'; readonly socket: string }
  | { readonly event: 'stopping' }
  /** The state is a backup: numbers jumped ahead, and nothing of its epoch is given out. */
  | { readonly event: 'restored'; readonly epoch: number; readonly version: number }
  /** The state ends before what this controller has signed: a backup was put back unannounced. */
  | {
      readonly event: 'state_lost';
      readonly epoch: number;
      readonly version: number;
      readonly signed_epoch: number;
      readonly signed_version: number;
    }
  | {
      readonly event: 'enrolled';
      readonly node: string;
      readonly address: string;
      readonly endpoint: string | null;
      /** keyid of its signing key. */
      readonly key: string;
    }
  | {
      readonly event: 'removed';
      readonly node: string;
      readonly by: 'admin' | 'itself';
      readonly epoch: number;
      readonly version: number;
    }
  /** Removed by itself: an ephemeral node that nothing was heard of for so long. */
  | {
      readonly event: 'lapsed';
      readonly node: string;
      readonly silent_s: number;
      readonly epoch: number;
      readonly version: number;
    }
  | {
      readonly event: 'endpoint_changed';
      readonly node: string;
      readonly endpoint: string | null;
      /** Where it may be as well. */
      readonly candidates: readonly string[];
      readonly before: string | null;
    }
  | {
      readonly event: 'score_accepted';
      readonly node: string;
      readonly suite: string;
      /** keyid. */
      readonly signer: string;
      readonly sequence: number;
      readonly score: number;
      readonly samples: number;
      readonly observed_at: number;
    }
  | { readonly event: 'sequences_reset'; readonly node: string }
  /** Somebody asked for a change, and may; what comes of it are other events. */
  | ({ readonly event: 'asked' } & Asked)
  /** An admin asked for a new epoch, and this is it. */
  | { readonly event: 'rotated'; readonly epoch: number; readonly version: number }
  | {
      readonly event: 'epoch_committed';
      readonly epoch: number;
      readonly version: number;
      readonly started_at: number;
      /** Ids in byte order, here and below. */
      readonly members: readonly string[];
      /** Members of the epoch before that are none now. */
      readonly removed: readonly string[];
      readonly denied: readonly string[];
      /** Stay only because nobody is cut while observing. */
      readonly would_deny: readonly string[];
      readonly changes: readonly VerdictChange[];
      /** Until it was on the disk. */
      readonly commit_ms: number;
    }
  /** The brake began to hold members that judgement would cut, holds them in another way, or none. */
  | {
      readonly event: 'brake';
      readonly epoch: number;
      readonly phase: 'open' | 'frozen' | 'capped';
      /** Until nobody is cut; null if it does not end by itself or does not hold everybody. */
      readonly until: number | null;
      readonly held: readonly string[];
      /** How many were removed with this epoch. */
      readonly cut: number;
    }
  /** An admin decided that whom the brake held have really failed: it held nobody in this epoch. */
  | {
      readonly event: 'brake_released';
      readonly epoch: number;
      readonly version: number;
      readonly removed: readonly string[];
    }
  /** An admin set another policy, in force from the next epoch on. */
  | {
      readonly event: 'policy_set';
      readonly rules: readonly string[];
      /** Members that it would cut as scores were then. */
      readonly would_cut: readonly string[];
      readonly members: number;
    }
  /** An epoch was due and there is none, or what follows one failed. */
  | { readonly event: 'epoch_failed'; readonly detail: string; readonly stack: string }
  /** The epoch in force goes on until these members have reported again. */
  | {
      readonly event: 'waiting';
      readonly epoch: number;
      readonly until: number;
      readonly members: readonly string[];
    }
  /** The process could attend to nobody for so long that reports may have been missed. */
  | { readonly event: 'overload'; readonly missed_ms: number }
  | {
      readonly event: 'token_issued';
      readonly token: string;
      /** Only this node may use it; null: any. */
      readonly node: string | null;
      readonly expires_at: number;
    }
  | { readonly event: 'token_used'; readonly token: string; readonly node: string }
  | { readonly event: 'token_deleted'; readonly token: string }
  /** A request was answered with a problem: its code and status. */
  | { readonly event: 'refused'; readonly code: ProblemCode; readonly status: number }
  /** Something that ought not to happen. The request was answered with `internal_error`. */
  | {
      readonly event: 'request_failed';
      readonly route: string;
      readonly detail: string;
      readonly stack: string;
    }
  /** What a subscriber does with events began to fail, or works again. */
  | {
      readonly event: 'subscriber_failed';
      readonly subscriber: string;
      readonly detail: string;
      readonly stack: string;
    }
  | { readonly event: 'subscriber_recovered'; readonly subscriber: string };

export type ControllerEventName = ControllerEvent['event'];
export type EmitControllerEvent = (event: ControllerEvent) => void;

/** An event as subscribers get it. */
export type StampedEvent = ControllerEvent & {
  /** Counts from 1 since the start: a gap is an event that was missed. */
  readonly number: number;
  /** Controller's clock, ms. */
  readonly at: number;
};

/** `detail` and `stack` of an event about something that was thrown. */
export function thrown(error: unknown): { readonly detail: string; readonly stack: string } {
  if (!(error instanceof Error)) return { detail: String(error), stack: '' };
  return { detail: error.message, stack: error.stack ?? '' };
}
