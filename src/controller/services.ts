import type { Role } from '../contract/access.ts';
import { controllerFingerprint } from '../contract/ids.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { AddressBudget } from './address-budget.ts';
import { Allowances } from './allowances.ts';
import type { ControllerClock } from './clock.ts';
import { ConfigBuilder } from './config-builder.ts';
import { ConfigQueue } from './config-queue.ts';
import { NodeDirectory } from './directory.ts';
import { EpochDocuments } from './epoch-document.ts';
import { EpochHeaders } from './epoch-headers.ts';
import { EpochSeals } from './epoch-seals.ts';
import { EpochViews } from './epoch-view.ts';
import type { EmitControllerEvent, StampedEvent } from './events.ts';
import { Governor } from './governor.ts';
import { ACCESS_CALLS, MOVES, REACH_REPORTS, SCORES } from './limits.ts';
import { MembershipDeltas } from './membership-deltas.ts';
import { Presence } from './presence.ts';
import { ReachReports } from './reach-reports.ts';
import { Receipts } from './receipts.ts';
import { Cosigning } from './record/cosigning.ts';
import { PublishedLog } from './record/published-log.ts';
import { RequestAuth } from './request-auth.ts';
import { RequestCounters } from './request-counters.ts';
import { RosterLists } from './rosters.ts';
import type { Settings } from './settings.ts';
import { EventSpine } from './spine.ts';
import type { Store } from './store/store.ts';
import { StreamHub } from './stream-hub.ts';
import { EventCounters } from './subscribers/counters.ts';
import { pushSubscriber } from './subscribers/push.ts';
import { RecentEvents } from './subscribers/recent-events.ts';

/** What a controller is made for, and what it is given. */
interface Given {
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly store: Store;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  /** Keeps a policy document for the next start; durable when it resolves. */
  readonly keepPolicy: (document: object) => Promise<void>;
  /** 32 bytes; whoever gave it erases it at the end. */
  readonly signingSeed: Uint8Array;
}

/** The role of a client certificate by its name, at present; undefined: none. */
type CertificateRole = (name: string) => Role | undefined;

/** What operations work with. */
export interface Services extends Given {
  readonly certificateRole: CertificateRole;
  readonly meshId: Uint8Array;
  readonly directory: NodeDirectory;
  readonly governor: Governor;
  readonly auth: RequestAuth;
  readonly receipts: Receipts;
  readonly configs: ConfigBuilder;
  readonly configQueue: ConfigQueue;
  readonly views: EpochViews;
  readonly seals: EpochSeals;
  readonly deltas: MembershipDeltas;
  readonly rosters: RosterLists;
  readonly log: PublishedLog;
  /** Which witnesses keep up with it. */
  readonly cosigning: Cosigning;
  readonly documents: EpochDocuments;
  readonly streams: StreamHub;
  readonly presence: Presence;
  /** Who reaches whom, as nodes tell it. */
  readonly reach: ReachReports;
  readonly spine: EventSpine;
  readonly emit: EmitControllerEvent;
  readonly counters: EventCounters;
  readonly recent: RecentEvents;
  readonly requests: RequestCounters;
  readonly budget: AddressBudget;
  /** Scores by (keyid, node, suite). */
  readonly scoreAllowances: Allowances;
  /** Moves of an endpoint by node. */
  readonly moves: Allowances;
  /** Reports of who is reached, by node. */
  readonly reachAllowances: Allowances;
  /** Calls by id of the access token. */
  readonly accessCalls: Allowances;
  /** A clock in ms that nobody sets, for what is counted by time. */
  readonly monotonic: () => number;
}

export interface ServicesOptions extends Given {
  /** Without it, none has one. */
  readonly certificateRole?: CertificateRole;
  /** Names of those who are asked to cosign the log. */
  readonly witnesses?: readonly string[];
  /** How long the controller could attend to nobody, ms since it was asked last. */
  readonly overload: { take(): number };
  /** A clock in ms that nobody sets, for budgets. */
  readonly monotonic: () => number;
  /** Called when something has happened, before anybody else is told. */
  readonly onEvent?: ((event: StampedEvent) => void) | undefined;
}

/** Everything of a controller but its governor's start, its network and its disk. */
export function createServices(options: ServicesOptions): Services {
  const { overload, monotonic, onEvent, witnesses = [], certificateRole, ...given } = options;
  const { settings, clock, crypto, signingSeed } = given;
  const meshId = controllerFingerprint(crypto, crypto.ed25519Public(signingSeed));
  const spine = new EventSpine(() => clock.now());
  const { emit } = spine;
  const counters = new EventCounters();
  const recent = new RecentEvents();
  const presence = new Presence(() => clock.now());
  const reach = new ReachReports(() => clock.now());
  const directory = new NodeDirectory(given.store, crypto);
  const cosigning = new Cosigning(witnesses, settings.witness);
  const common = { ...given, directory, meshId, emit, cosigning };
  const log = new PublishedLog(common);
  const governor = new Governor({
    ...common,
    presence,
    overload,
    headers: new EpochHeaders({
      ...common,
      log,
      protocolOf: (nodeId) => presence.protocolOf(nodeId),
    }),
  });
  const receipts = new Receipts(common);
  const streams = new StreamHub({ ...common, silenceS: settings.lifetimeS });
  if (onEvent) spine.subscribeImmediately({ name: 'listener', handle: onEvent });
  spine.subscribeImmediately(pushSubscriber(streams, () => governor.current?.header?.envelope));
  spine.subscribeImmediately({
    name: 'cosigning',
    events: ['epoch_committed'],
    handle: () => cosigning.committed(),
  });
  spine.subscribeImmediately(counters);
  spine.subscribeImmediately(recent);
  spine.subscribeImmediately(reach);
  return {
    ...common,
    certificateRole: certificateRole ?? (() => undefined),
    governor,
    auth: new RequestAuth(crypto, clock, receipts),
    receipts,
    configs: new ConfigBuilder({ ...common, log }),
    configQueue: new ConfigQueue(),
    views: new EpochViews(crypto),
    seals: new EpochSeals(common),
    deltas: new MembershipDeltas(given.store),
    rosters: new RosterLists(crypto, directory),
    log,
    documents: new EpochDocuments({ ...common, governor, counters }),
    streams,
    presence,
    reach,
    spine,
    counters,
    recent,
    requests: new RequestCounters(),
    budget: new AddressBudget(monotonic),
    scoreAllowances: new Allowances(SCORES),
    moves: new Allowances(MOVES),
    reachAllowances: new Allowances(REACH_REPORTS),
    accessCalls: new Allowances(ACCESS_CALLS),
    monotonic,
  };
}
