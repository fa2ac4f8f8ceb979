import { fromBase64 } from '../contract/encoding.ts';
import type { Header } from '../contract/epoch/header.ts';
import type { KeysAnswer } from '../contract/epoch/keys-answer.ts';
import type { MembershipTree } from '../contract/epoch/membership-tree.ts';
import { isSealOf, openBase, openSeals } from '../contract/epoch/seals.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { OwnIdentity } from './accepted-config.ts';

/**
 * Opens what is sealed for this node in an epoch: the base (32 bytes, secret) that it has with each
 * other member, by their places. A text says what is wrong with it.
 */
export function openBases(
  crypto: CryptoProvider,
  own: OwnIdentity,
  header: Header,
  members: MembershipTree,
  answer: KeysAnswer,
): ((place: number) => Uint8Array) | string {
  const opened = openSeals(crypto, answer.seals, header, [own.controllerKey]);
  if (!opened.ok) return `the seals: ${opened.problem.title}`;
  const { document, ephemeral } = opened.value;
  if (document.kind !== header.document.keys) return 'the seals are of another kind';
  const { nodeId, meshId } = own;
  const index = members.list.placeOf(nodeId);
  const sealed = fromBase64(answer.sealed);
  const proof = answer.proof.map((hash) => fromBase64(hash, 32)!);
  if (!sealed || index < 0 || !isSealOf(crypto, opened.value, { nodeId, index }, sealed, proof)) {
    return 'the sealed base is not under the root of the seals';
  }
  const shared = crypto.x25519(own.sealing, ephemeral);
  const { epoch, version } = document;
  const context = { meshId, epoch, version, header: header.hash, ephemeral, nodeId };
  const base =
    shared && openBase(crypto, shared, { ...context, sealing: own.sealingPublic }, sealed);
  shared?.fill(0);
  if (document.kind === 'group') {
    return base?.length === 32 ? () => base : 'the sealed base does not open';
  }
  if (base?.length !== 32 * (members.count - 1)) return 'the sealed base does not open';
  return (place) => {
    const row = place < index ? place : place - 1; // without the node itself
    return base.subarray(32 * row, 32 * row + 32);
  };
}
