import { MAX_PEERS } from '../contract/config.ts';
import { isAcceptableEd25519 } from '../contract/public-keys.ts';
import { integer, number } from './policy/bounds.ts';
import { completePolicy, type GivenPolicy } from './policy/complete.ts';
import { everySuite, type Policy } from './policy.ts';
import { SettingsError } from './settings-error.ts';
import type { AddressPool } from './store/store.ts';

/** How many witnesses must keep up with the log. */
export interface WitnessRule {
  readonly needed: number;
  /** How many epochs one may be behind. */
  readonly withinEpochs: number;
  /** While it is not so, no config and no lease is given out. Who is cut, is cut. */
  readonly isBinding: boolean;
}

/** Who may read the record; admins may all of it, on their socket. */
export interface RecordReaders {
  /** Leaves, tiles, checkpoint. */
  readonly log: 'members' | 'everybody';
  /** Rows and scores; `own`: members, and each those about itself alone. */
  readonly verdicts: 'own' | 'members' | 'everybody';
}

/** How a mesh is governed. */
export interface Settings {
  /** An admin may set another one at any time: it is read anew whenever it is needed. */
  policy: Policy;
  /** Seconds of an epoch. */
  readonly epochS: number;
  /** Seconds a config is good for, from when it was asked for. Default: three epochs. */
  readonly lifetimeS: number;
  /** Seconds that keypairs of an older epoch are still received on. Default: a third of an epoch. */
  readonly graceS: number;
  /**
   * Members up to which each pair has a base of its own; beyond, one is sealed for all. Null: keys are not
   * sealed for all members at once, but come with each one's config, and the controller knows them.
   */
  readonly pairwiseUpTo: number | null;
  /** Seconds between two reports of a node. Default: a sixth of an epoch. */
  readonly reportIntervalS: number;
  /** Verdicts are computed, logged and shown, but nobody is cut. */
  readonly observeOnly: boolean;
  /** Tunnel subnet; nodes get its addresses from the second host on. */
  readonly tunnelPrefix: string;
  /** Ed25519 public keys (32 bytes) of evaluators; as the policy, set at any time. */
  evaluators: readonly Uint8Array[];
  readonly witness: WitnessRule | null;
  readonly recordReaders: RecordReaders;
  /** Whether `GET /v1/epoch` answers callers from the loopback network without a signature. */
  readonly epochOnLoopback: boolean;
}

/** What may be set; the rest follows from it. */
export type GivenSettings = Partial<Omit<Settings, 'policy'>> & GivenPolicy;

/** Each base is made and sealed for both of its ends, so the work grows with the square of this. */
const PAIRWISE_UP_TO = 256;

/** Fills in defaults and checks. Throws a `SettingsError` naming the field. */
export function completeSettings(given: GivenSettings = {}): Settings {
  const epochS = given.epochS ?? 60;
  number('epoch', epochS, 0.5, 86_400);
  const reportIntervalS = given.reportIntervalS ?? epochS / 6;
  const settings: Settings = {
    policy: completePolicy(given, { epochS, reportIntervalS }),
    epochS,
    lifetimeS: given.lifetimeS ?? 3 * epochS,
    graceS: given.graceS ?? epochS / 3,
    pairwiseUpTo: given.pairwiseUpTo === undefined ? PAIRWISE_UP_TO : given.pairwiseUpTo,
    reportIntervalS,
    observeOnly: given.observeOnly ?? false,
    tunnelPrefix: given.tunnelPrefix ?? '10.10.0.0/24',
    evaluators: given.evaluators ?? [],
    witness: given.witness ?? null,
    recordReaders: given.recordReaders ?? { log: 'members', verdicts: 'members' },
    epochOnLoopback: given.epochOnLoopback ?? true,
  };
  number('lifetime', settings.lifetimeS, epochS, 86_400);
  number('grace', settings.graceS, 0.1, epochS);
  if (settings.pairwiseUpTo !== null) {
    number('pairwise up to', settings.pairwiseUpTo, 0, MAX_PEERS);
  }
  if (settings.witness !== null) {
    integer('witness.needed', settings.witness.needed, 1, MAX_WITNESSES);
    integer('witness.within_epochs', settings.witness.withinEpochs, 1, 1000);
  }
  checkEvaluators(settings);
  hostAddresses(settings.tunnelPrefix);
  return settings;
}

const MAX_WITNESSES = 64;
/** A sentence about a verdict names evaluators; configs have room for so many. */
const MAX_EVALUATORS = 31;

function checkEvaluators({ policy, evaluators }: Settings): void {
  const keys = new Set(evaluators.map((key) => Buffer.from(key).toString('hex')));
  if (keys.size !== evaluators.length || keys.size > MAX_EVALUATORS) {
    throw new SettingsError('evaluators', `up to ${MAX_EVALUATORS} keys, each once`);
  }
  if (evaluators.some((key) => key.length !== 32 || !isAcceptableEd25519(key))) {
    throw new SettingsError('evaluators', 'Ed25519 public keys');
  }
  if (keys.size === 0 && everySuite(policy).some((one) => one.signers === 'evaluators')) {
    throw new SettingsError('evaluators', 'at least one: a suite is theirs to judge');
  }
}

/**
 * How long nobody gets id, address and keys of a removed node, ms: configs that list them have run
 * out by then, its last scores are stale, and its peers have let go of their pins, for which they
 * need to see it missing for a whole lifetime.
 */
export function reservationMs({ lifetimeS, epochS, policy }: Settings): number {
  const oldest = Math.max(...everySuite(policy).map((one) => one.maxAgeS));
  return (Math.max(lifetimeS, oldest) + 2 * epochS) * 1000;
}

/**
 * Addresses that nodes can have: the hosts of the prefix but the first (kept for a gateway), as
 * many as a config has room for.
 */
export function hostAddresses(prefix: string): AddressPool {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(prefix);
  const [a, b, c, d, length] = match?.slice(1).map(Number) ?? [];
  const isPrefix =
    match !== null && [a, b, c, d].every((octet) => octet! <= 255) && length! >= 8 && length! <= 29;
  if (!isPrefix) throw new SettingsError('tunnel prefix', 'an IPv4 prefix such as 10.10.0.0/24');
  const size = 2 ** (32 - length!);
  const base = ((a! << 24) | (b! << 16) | (c! << 8) | d!) >>> 0;
  if (base % size !== 0) throw new SettingsError('tunnel prefix', 'one whose host bits are zero');
  return {
    length: Math.min(size - 3, MAX_PEERS),
    at(i) {
      const address = base + 2 + i;
      return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
    },
  };
}
