import type { EpochEvent, Leaf } from '../../contract/record/leaf.ts';
import type { VerdictRow } from '../../contract/record/verdict-row.ts';
import { type Epoch, type NodeVerdict, nextEpoch } from '../epoch.ts';
import { decideMesh, type MeshState } from '../policy/decide-mesh.ts';
import { judgeMesh } from '../policy/judge-mesh.ts';
import { NEWCOMER, type Standing } from '../policy/standing.ts';
import type { Policy, Score, SignersOf } from '../policy.ts';
import type { JudgedBy } from './policy-text.ts';

/** What a verdict is when it is made again. */
export interface VerdictAgain extends Pick<VerdictRow, 'allowed' | 'reason' | 'passed' | 'suites'> {
  /** It rests on what the rows do not show: that the controller was away, or what a node fetched. */
  readonly isAsserted: boolean;
}

export interface DecidedFrom {
  readonly scores: ReadonlyMap<string, readonly Score[]>;
  readonly signersOf: (node: string) => SignersOf;
  /** keyids. */
  readonly evaluators: readonly string[];
  /** The epoch before, made again; undefined where it cannot be. */
  readonly previous: Epoch | undefined;
  readonly epoch: Pick<Leaf & EpochEvent, 'epoch' | 'version' | 'at'>;
}

export interface DecidedAgain {
  readonly epoch: Epoch;
  /** In the order of the rows. */
  readonly verdicts: readonly VerdictAgain[];
}

/** Decides an epoch again as the controller does, from all its rows and what they name. */
export function decideAgain(
  by: JudgedBy,
  rows: readonly VerdictRow[],
  from: DecidedFrom,
): DecidedAgain {
  const state = stateOf(by, rows, from);
  const moment = { now: from.epoch.at, epochMs: by.epochS * 1000 };
  const { verdicts } = decideMesh(by.policy, state, moment);
  return inForce(by, rows, from, verdicts);
}

/**
 * The same for one row alone. What depends on the other rows is the controller's word then: that
 * silence was shared, that the brake held it.
 */
export function decideAlone(by: JudgedBy, row: VerdictRow, from: DecidedFrom): VerdictAgain {
  const state = stateOf(by, [row], from);
  const excused = row.reason.endsWith('held') ? excuseAll(by.policy) : new Map<string, string>();
  const moment = { now: from.epoch.at, epochMs: by.epochS * 1000, excused };
  const verdicts = judgeMesh(by.policy, state, moment);
  const one = verdicts.get(row.node)!;
  if (isUnreachable(row) && one.verdict.allowed) {
    const verdict = { ...one.verdict, allowed: false, reason: 'no_config_fetched' as const };
    verdicts.set(row.node, { ...one, verdict });
  } else if (row.reason === 'held_by_brake') {
    verdicts.set(row.node, { ...one, held: { since: null, why: '' } });
  }
  const again = inForce(by, [row], from, verdicts).verdicts[0]!;
  const restsOnOthers = row.reason.endsWith('held') || row.reason === 'held_by_brake';
  return { ...again, isAsserted: again.isAsserted || restsOnOthers };
}

function stateOf(by: JudgedBy, rows: readonly VerdictRow[], from: DecidedFrom): MeshState {
  const byNode = new Map(rows.map((row) => [row.node, row]));
  return {
    nodeIds: byNode.keys(),
    scores: from.scores,
    evaluators: from.evaluators,
    signersOf: from.signersOf,
    standings: new Map(rows.map((row) => [row.node, standingOf(row)])),
    isAwaited: (node) => byNode.get(node)!.awaited,
    isReachable: (node) => !isUnreachable(byNode.get(node)!),
    observeOnly: by.observeOnly,
  };
}

function inForce(
  { observeOnly }: JudgedBy,
  rows: readonly VerdictRow[],
  { previous, epoch: { epoch, version, at } }: DecidedFrom,
  verdicts: ReadonlyMap<string, NodeVerdict>,
): DecidedAgain {
  const before = previous ?? membersBefore(rows);
  const secret = new Uint8Array(0); // nothing depends on it here but that there is one
  const decided = nextEpoch({ previous: before, verdicts, observeOnly, startedAt: at, secret });
  const decisions = new Map(decided.decisions.map((one) => [one.nodeId, one]));
  return {
    epoch: { ...decided, epoch, version },
    verdicts: rows.map((row) => {
      const { allowed, reason } = decisions.get(row.node)!;
      const { allowed: passed, suites } = verdicts.get(row.node)!.verdict;
      const isAsserted = isUnreachable(row) || reason === 'awaiting_report';
      return { allowed, reason, passed, suites, isAsserted };
    }),
  };
}

function standingOf({ standing }: VerdictRow): Standing {
  return (standing as unknown as Standing | null) ?? NEWCOMER;
}

function isUnreachable({ reason }: VerdictRow): boolean {
  return reason.endsWith('no_config_fetched');
}

function excuseAll({ suites, groups }: Policy): Map<string, string> {
  const all = [...suites, ...groups.flatMap((group) => group.suites)];
  return new Map(all.map(({ suite }) => [suite, '']));
}

/** Where the epoch before is not known: its members are those whom judgement remembers as such. */
function membersBefore(rows: readonly VerdictRow[]): Epoch {
  const decisions = rows.map((row) => {
    const standing = standingOf(row);
    const { isMember } = standing;
    const sinceEpoch = isMember ? 0 : null;
    const said = { allowed: isMember, reason: 'unknown', explanation: '' };
    return { nodeId: row.node, ...said, sinceEpoch, standing };
  });
  const nothing = { epoch: 0, version: 0, startedAt: 0, removed: [], secret: new Uint8Array(0) };
  return { ...nothing, decisions };
}
