import type { ProblemCode } from '../contract/problems.ts';
import { type LeafEvent, leafStatement } from '../contract/record/leaf.ts';

/** What the verdict on a node became in an epoch, where it is not what it was. */
export interface VerdictChange {
  readonly node: string;
  readonly allowed: boolean;
  /** Whether it was allowed before; null: no epoch had decided about it. */
  readonly before: boolean | null;
  readonly reason: string;
  readonly explanation: string;
}

/** What happens in a controller and is not told in the words of the mesh's log. */
type OwnEvent =
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
  /** Client certificates are verified otherwise from now on; who showed one before is disconnected. */
  | { readonly event: 'clients_verified' }
  /** No client certificate has a role, because of a file that decides about them. */
  | { readonly event: 'clients_refused'; readonly detail: string }
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

/** What is told as the mesh's log has it; epochs and policies have events of their own. */
type RecordedEvent = Exclude<LeafEvent, { readonly event: OwnEvent['event'] | 'epoch' | 'policy' }>;

/**
 * What happens in a controller. Whoever has something to do with it (the log, metrics, pushes,
 * status.json) subscribes to the spine; nobody else is told. Never contains a secret. Times: the
 * controller's clock, ms.
 */
export type ControllerEvent = OwnEvent | RecordedEvent;
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

/**
 * A controller's event as a line for people: in its log and by `meshnet events`. Not escaped. Undefined:
 * of a kind that this version does not know.
 */
export function describeControllerEvent(event: ControllerEvent): string | undefined {
  switch (event.event) {
    case 'started':
      return `controller of mesh ${event.mesh_id} listening at ${event.url}`;
    case 'descriptors_short':
      return `the system lets this process open ${event.descriptors} files (RLIMIT_NOFILE): that is ${event.connections} connections, enough for ${event.members} members, and the mesh has addresses for ${event.addresses}. For all of them allow ${event.descriptors_needed}: LimitNOFILE= in a systemd unit, --ulimit nofile= for a container, ulimit -n in a shell`;
    case 'certificate_used':
      return `serves with the certificate of ${event.names}, until ${new Date(event.expires_at).toISOString()}`;
    case 'clients_verified':
      return 'client certificates are verified by what its files say now; who showed one before connects again';
    case 'clients_refused':
      return event.detail;
    case 'monitors_served':
      return `listening for monitors at ${event.url}`;
    case 'admins_served':
      return `listening for admins at ${event.socket}`;
    case 'stopping':
      return 'controller stops';
    case 'restored':
      return `the state is a backup: goes on after epoch ${event.epoch}.${event.version}`;
    case 'state_lost':
      return `THE STATE IS AN OLD BACKUP: it ends with epoch ${event.epoch}.${event.version}, and epoch ${event.signed_epoch}.${event.signed_version} was signed before. Nothing is decided or given out. Stop the controller, run: meshnet controller restored, and start it again`;
    case 'enrolled':
      return `${event.node} enrolled: ${event.address}, endpoint ${event.endpoint ?? 'none'}`;
    case 'removed':
      return event.by === 'itself'
        ? `${event.node} left, with epoch ${event.epoch}.${event.version}`
        : `${event.node} removed by an admin, with epoch ${event.epoch}.${event.version}`;
    case 'lapsed':
      return `${event.node} removed with epoch ${event.epoch}.${event.version}: an ephemeral node, silent for ${event.silent_s} s`;
    case 'endpoint_changed':
      return `${event.node} moved from ${event.before ?? 'no endpoint'} to ${[event.endpoint ?? 'no endpoint', ...event.candidates].join(' or ')}`;
    case 'score_accepted':
      return `${event.node}: score ${event.score} (${event.suite}, sequence ${event.sequence})`;
    case 'rotated':
      return `epoch ${event.epoch}.${event.version} was asked for by an admin`;
    case 'epoch_committed':
      return describeEpoch(event);
    case 'brake':
      return describeBrake(event);
    case 'brake_released':
      return `BRAKE: released by an admin: epoch ${event.epoch}.${event.version} is without ${listed(event.removed)}`;
    case 'policy_set':
      return `another policy from the next epoch on: ${event.rules.join(' | ')}; as scores are, ${event.would_cut.length} of ${event.members} members would be cut`;
    case 'epoch_failed':
      return `deciding an epoch failed: ${event.detail}`;
    case 'waiting':
      return `epoch ${event.epoch} goes on until ${listed(event.members)} have reported again, at most until ${new Date(event.until).toISOString()}`;
    case 'overload':
      return `nobody could be attended to for ${Math.round(event.missed_ms)} ms: reports may be missing`;
    case 'token_issued':
      return `join token ${event.token} issued for ${event.node ?? 'any node'}, until ${new Date(event.expires_at).toISOString()}`;
    case 'token_used':
      return `join token ${event.token} used by ${event.node}`;
    case 'token_deleted':
      return `join token ${event.token} withdrawn`;
    case 'refused':
      return `a request was refused: ${event.code} (${event.status})`;
    case 'request_failed':
      return `${event.route} failed: ${event.detail}`;
    case 'subscriber_failed':
      return `${event.subscriber} failed: ${event.detail}`;
    case 'subscriber_recovered':
      return `${event.subscriber} works again`;
    default:
      return leafStatement(event);
  }
}

function describeBrake(event: Extract<ControllerEvent, { event: 'brake' }>): string {
  if (event.phase === 'open')
    return `BRAKE: it holds nobody any more, from epoch ${event.epoch} on`;
  const many = `${event.held.length + event.cut} members would be cut in epoch ${event.epoch}`;
  return event.phase === 'frozen'
    ? `BRAKE: ${many}: nobody is. Is it their fault, or what they have in common? meshnet why NODE`
    : `BRAKE: ${many}: only the worst ${event.cut} are`;
}

function describeEpoch(event: Extract<ControllerEvent, { event: 'epoch_committed' }>): string {
  const gone = event.removed.length > 0 ? `, without ${event.removed.join(' ')}` : '';
  const changes = event.changes.map(
    ({ node, allowed, explanation }) => `; ${node} ${allowed ? 'in' : 'OUT'}: ${explanation}`,
  );
  return `epoch ${event.epoch}.${event.version}: ${listed(event.members)}${gone}${changes.join('')}`;
}

function listed(names: readonly string[]): string {
  return names.length > 0 ? names.join(' ') : 'nobody';
}
