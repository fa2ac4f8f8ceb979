import { fromBase64, toBase64 } from '../../contract/encoding.ts';
import { headerHash } from '../../contract/epoch/header.ts';
import { compareNodeIds } from '../../contract/ids.ts';
import { type EpochEvent, MAX_NAMED } from '../../contract/record/leaf.ts';
import { type VerdictRow, verdictRowBytes } from '../../contract/record/verdict-row.ts';
import type { CryptoProvider, RandomBytes } from '../../crypto/provider.ts';
import { leafHash, MerkleTree } from '../../record/merkle.ts';
import type { Decision, Epoch, NodeVerdict } from '../epoch.ts';
import type { RecordedEpoch } from '../store/log-store.ts';
import { type JudgedBy, policyHash, policyText } from './policy-text.ts';

const SALT_LENGTH = 16;

/** Writes down what an epoch decided about each node, and from what. */
export class EpochRecorder {
  private readonly crypto: CryptoProvider;
  private readonly random: RandomBytes;
  constructor(crypto: CryptoProvider, random: RandomBytes) {
    this.crypto = crypto;
    this.random = random;
  }

  /** `previous`: the epoch in force until then, if there was one. */
  record(
    previous: Epoch | undefined,
    next: Epoch,
    verdicts: ReadonlyMap<string, NodeVerdict>,
    by: JudgedBy,
  ): RecordedEpoch {
    const { crypto } = this;
    const policy = policyText(by);
    const length = SALT_LENGTH * next.decisions.length;
    const salts = length === 0 ? new Uint8Array(0) : this.random(length);
    const rows = next.decisions.map((decision, i) => {
      const salt = salts.subarray(i * SALT_LENGTH, (i + 1) * SALT_LENGTH);
      return rowOf(decision, verdicts.get(decision.nodeId)!, salt);
    });
    const { root } = new MerkleTree(
      crypto,
      rows.map((row) => leafHash(crypto, row)),
    );
    const members = next.decisions.filter((one) => one.allowed).length;
    const { removed } = next;
    const header = next.header?.envelope.payload;
    const event: EpochEvent = {
      event: 'epoch',
      epoch: next.epoch,
      version: next.version,
      header: header === undefined ? null : toBase64(headerHash(crypto, fromBase64(header)!)),
      policy: policyHash(crypto, policy),
      members,
      denied: next.decisions.length - members,
      removed: { count: removed.length, nodes: removed.length > MAX_NAMED ? null : removed },
      verdicts: { count: rows.length, root: toBase64(root) },
    };
    return { event, policy, rows, ...brakeOf(previous, next) };
  }
}

function brakeOf(previous: Epoch | undefined, next: Epoch): Pick<RecordedEpoch, 'brake'> {
  const held = heldIn(next);
  if (held.join() === heldIn(previous).join()) return {};
  const nodes = held.length > MAX_NAMED ? null : held;
  return { brake: { event: 'brake', epoch: next.epoch, held: { count: held.length, nodes } } };
}

/** Ids in byte order. */
function heldIn(epoch: Epoch | undefined): readonly string[] {
  const held = epoch?.decisions.filter((one) => one.reason === 'held_by_brake') ?? [];
  return held.map(({ nodeId }) => nodeId).sort(compareNodeIds);
}

function rowOf(
  { nodeId, allowed, reason }: Decision,
  { verdict, judged, allowedIfFresh, scores = [] }: NodeVerdict,
  salt: Uint8Array,
): Uint8Array {
  const evidence = scores
    .filter((one) => one.hash !== undefined)
    .map(({ hash, receivedAt }) => ({ hash: hash!, received_at: receivedAt }))
    .sort((a, b) => a.received_at - b.received_at || (a.hash < b.hash ? -1 : 1));
  // Members in the order of the text, here and in a standing: then none are sorted.
  return verdictRowBytes({
    allowed,
    awaited: allowedIfFresh !== undefined,
    evidence,
    node: nodeId,
    passed: verdict.allowed,
    reason,
    salt: toBase64(salt),
    standing: (judged?.standing ?? null) as VerdictRow['standing'],
    suites: verdict.suites.map(({ age_s, passed, samples, score, suite }) => {
      return { age_s, passed, samples, score, suite };
    }),
  });
}
