import { MAX_PEERS } from '../contract/config.ts';
import { isAcceptableEd25519 } from '../contract/public-keys.ts';
import { DEFAULT_POLICY, type Policy } from './policy.ts';
import type { AddressPool } from './store/store.ts';

/** How a mesh is governed. */
export interface Settings {
  readonly policy: Policy;
  /** Seconds of an epoch. */
  readonly epochS: number;
  /** Seconds a config is good for, from when it was asked for. Default: three epochs. */
  readonly lifetimeS: number;
  /** Seconds that keypairs of an older epoch are still received on. Default: a third of an epoch. */
  readonly graceS: number;
  /** Seconds between two reports of a node. Default: a sixth of an epoch. */
  readonly reportIntervalS: number;
  /** Verdicts are computed, logged and shown, but nobody is cut. */
  readonly observeOnly: boolean;
  /** Tunnel subnet; nodes get its addresses from the second host on. */
  readonly tunnelPrefix: string;
  /** Ed25519 public keys (32 bytes) of evaluators. */
  readonly evaluators: readonly Uint8Array[];
  /** Whether `GET /v1/epoch` answers callers from the loopback network without a signature. */
  readonly epochOnLoopback: boolean;
}

export class SettingsError extends Error {
  readonly field: string;

  constructor(field: string, expected: string) {
    super(`${field}: expected ${expected}`);
    this.name = 'SettingsError';
    this.field = field;
  }
}

/** What may be set; the rest follows from it. */
export type GivenSettings = Partial<Omit<Settings, 'policy'> & Policy>;

/** Fills in defaults and checks. Throws a `SettingsError` naming the field. */
export function completeSettings(given: GivenSettings = {}): Settings {
  const epochS = given.epochS ?? 60;
  number('epoch', epochS, 0.5, 86_400);
  const settings: Settings = {
    policy: {
      threshold: given.threshold ?? DEFAULT_POLICY.threshold,
      freshnessS: given.freshnessS ?? 2 * epochS,
      suites: given.suites ?? DEFAULT_POLICY.suites,
    },
    epochS,
    lifetimeS: given.lifetimeS ?? 3 * epochS,
    graceS: given.graceS ?? epochS / 3,
    reportIntervalS: given.reportIntervalS ?? epochS / 6,
    observeOnly: given.observeOnly ?? false,
    tunnelPrefix: given.tunnelPrefix ?? '10.10.0.0/24',
    evaluators: given.evaluators ?? [],
    epochOnLoopback: given.epochOnLoopback ?? true,
  };
  number('threshold', settings.policy.threshold, 0, 1);
  number('freshness', settings.policy.freshnessS, 0.1, 86_400);
  number('lifetime', settings.lifetimeS, epochS, 86_400);
  number('grace', settings.graceS, 0.1, epochS);
  // A score is made and taken before it can age: one report may always be on its way.
  number('report interval', settings.reportIntervalS, 0.05, settings.policy.freshnessS);
  checkSigners(settings);
  hostAddresses(settings.tunnelPrefix);
  return settings;
}

/** A sentence about a verdict names suites and evaluators; configs have room for so many. */
const MAX_SUITES = 16;
const MAX_EVALUATORS = 31;

function checkSigners({ policy: { suites }, evaluators }: Settings): void {
  if (suites.length === 0 || suites.length > MAX_SUITES) {
    throw new SettingsError('suites', `1 to ${MAX_SUITES} suites`);
  }
  if (new Set(suites.map((one) => one.suite)).size !== suites.length) {
    throw new SettingsError('suites', 'a name of its own for each');
  }
  if (suites.some((one) => !Number.isSafeInteger(one.minSamples) || one.minSamples < 1)) {
    throw new SettingsError('suites', 'at least one sample for each');
  }
  const keys = new Set(evaluators.map((key) => Buffer.from(key).toString('hex')));
  if (keys.size !== evaluators.length || keys.size > MAX_EVALUATORS) {
    throw new SettingsError('evaluators', `up to ${MAX_EVALUATORS} keys, each once`);
  }
  if (evaluators.some((key) => key.length !== 32 || !isAcceptableEd25519(key))) {
    throw new SettingsError('evaluators', 'Ed25519 public keys');
  }
  if (keys.size === 0 && suites.some((one) => one.signers === 'evaluators')) {
    throw new SettingsError('evaluators', 'at least one: a suite is theirs to judge');
  }
}

/**
 * How long nobody gets id, address and keys of a removed node, ms: configs that list them have run
 * out by then, its last scores are stale, and its peers have let go of their pins, for which they
 * need to see it missing for a whole lifetime.
 */
export function reservationMs({ lifetimeS, epochS, policy }: Settings): number {
  return (Math.max(lifetimeS, policy.freshnessS) + 2 * epochS) * 1000;
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

function number(field: string, value: number, min: number, max: number): void {
  if (!Number.isFinite(value) || value < min || value > max) {
    throw new SettingsError(field, `a number from ${min} to ${max}`);
  }
}
