import { keyRecordOf, type NodeKeys } from '../../src/agent/node-keys.ts';
import { signKeyRecord } from '../../src/contract/key-record.ts';
import type { Store } from '../../src/controller/store/store.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const crypto = defaultProvider();

/** A node that a proof plays. */
export interface PlayedNode {
  readonly nodeId: string;
  readonly keys: NodeKeys;
}

export const playedName = (i: number): string => `node-${String(i).padStart(5, '0')}`;

/** Enrols all of them at once, as calls of theirs would one after the other. Addresses: 10.0.0.0/16. */
export async function fillStore(
  store: Store,
  meshId: Uint8Array,
  nodes: readonly PlayedNode[],
): Promise<void> {
  await Promise.all(
    nodes.map(async ({ nodeId, keys }, i) => {
      const record = keyRecordOf(crypto, keys, meshId, nodeId);
      const token = { id: nodeId, secret: undefined, nodeId, expiresAt: 1e15, usesLeft: 1 };
      await store.addToken(token, 0);
      const { wireguard, signing, sealing } = record;
      const envelope = signKeyRecord(crypto, keys.signing, record);
      const node = { nodeId, record: envelope, wireguard, signing, sealing, enrolledAt: 0 };
      const address = `10.0.${(i + 2) >> 8}.${(i + 2) & 255}`;
      const { outcome } = await store.enrol({ ...node, endpoint: null }, nodeId, [address]);
      if (outcome !== 'enrolled') throw new Error(outcome);
    }),
  );
}
