import type { Envelope } from '../contract/envelope.ts';

/** What an agent reports. One event is one line of `meshnet node --json`. */
export type AgentEvent =
  | { readonly event: 'enrolled'; readonly node: string; readonly address: string }
  | {
      readonly event: 'started';
      readonly node: string;
      readonly backend: string;
      readonly address: string;
      readonly endpoint: string | null;
      readonly aead: string | null;
      readonly offloads: readonly string[];
    }
  | {
      readonly event: 'config';
      readonly epoch: number;
      readonly version: number;
      readonly allowed: boolean;
      readonly reason: string;
      readonly explanation: string;
      readonly members: readonly string[];
      readonly removed: readonly string[];
    }
  | {
      readonly event: 'removed';
      readonly epoch: number;
      readonly version: number;
      readonly nodes: readonly string[];
      /** ms from receiving the push until no data thread can use the keys any more. */
      readonly took_ms: number;
    }
  | {
      readonly event: 'ignored';
      readonly what: 'config' | 'lease' | 'push' | 'header';
      readonly reason: string;
      readonly detail: string;
    }
  /** A known name has another key: refused, or taken because the name was away for long. */
  | { readonly event: 'key_changed'; readonly node: string; readonly accepted: boolean }
  /** The controller has signed two headers that cannot both be true. */
  | {
      readonly event: 'split_view';
      readonly epoch: number;
      readonly version: number;
      readonly held: Envelope;
      readonly other: Envelope;
    }
  /** The controller's log contradicts what it said before: no config is acted upon any more. */
  | { readonly event: 'forked_log'; readonly detail: string }
  /** This node cosigns the log, asked at `url`; `key`: verifier key of its cosignatures. */
  | { readonly event: 'witness'; readonly key: string; readonly url: string }
  /** A signed checkpoint was not cosigned: no proof came with it that it extends what was. */
  | { readonly event: 'witness_refused'; readonly leaves: number }
  /** A header that nothing links to the one held was taken: after a restored backup, or a long absence. */
  | {
      readonly event: 'header_leap';
      readonly epoch: number;
      readonly version: number;
      readonly held: Envelope;
      readonly taken: Envelope;
    }
  | { readonly event: 'fail_closed'; readonly epoch: number; readonly silent_s: number }
  | { readonly event: 'recovered'; readonly epoch: number }
  | { readonly event: 'resumed'; readonly suspended_s: number }
  | {
      readonly event: 'controller';
      readonly call: string;
      readonly ok: false;
      readonly code: string;
      readonly detail: string;
    }
  | { readonly event: 'controller'; readonly call: string; readonly ok: true }
  /** A file that is there to be looked at could not be written (`ok` false), or can again. */
  | {
      readonly event: 'file';
      readonly path: string;
      readonly ok: boolean;
      readonly detail: string;
    }
  | { readonly event: 'device_error'; readonly detail: string }
  | { readonly event: 'device_note'; readonly detail: string }
  | {
      readonly event: 'score';
      readonly suite: string;
      readonly score: number;
      readonly sequence: number;
    }
  | {
      readonly event: 'score_failed';
      readonly suite: string;
      readonly code: string;
      readonly detail: string;
    }
  | {
      readonly event: 'probe';
      readonly node: string;
      readonly address: string;
      readonly ok: boolean;
      readonly rtt_ms: number | null;
      /** Why it could not be asked; null if it was, and then `ok` speaks of the other end. */
      readonly error: string | null;
      /** Whether the roster lists the node as a member. */
      readonly allowed: boolean;
    }
  /** The controller was told where this node can be reached (null: it always goes first), or may be. */
  | {
      readonly event: 'endpoint';
      readonly endpoint: string | null;
      readonly candidates: readonly string[];
      readonly ok: boolean;
      readonly detail: string;
    }
  | { readonly event: 'ready'; readonly ready: boolean; readonly reason: string }
  | { readonly event: 'stopped' };

export type EmitEvent = (event: AgentEvent) => void;
