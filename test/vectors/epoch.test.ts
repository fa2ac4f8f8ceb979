import { expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { PAYLOAD_TYPES, signPayload } from '../../src/contract/envelope.ts';
import { openHeader } from '../../src/contract/epoch/header.ts';
import {
  decodeMemberEntry,
  encodeMemberEntry,
  type MemberEntry,
  recordEnvelopeOf,
  recordSignatureIn,
} from '../../src/contract/epoch/member-entry.ts';
import { MembershipTree } from '../../src/contract/epoch/membership-tree.ts';
import { controllerFingerprint } from '../../src/contract/ids.ts';
import { type KeyRecord, openKeyRecord, signKeyRecord } from '../../src/contract/key-record.ts';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { fromHex, readVectors, toHex } from '../lab/vectors.ts';

interface EpochVectors {
  readonly controller_seed: string;
  readonly mesh_id: string;
  readonly members: readonly {
    readonly node_id: string;
    readonly wireguard_private: string;
    readonly signing_seed: string;
    readonly sealing_private: string;
    readonly record_payload: string;
    readonly record_signature: string;
    readonly tunnel_address: string;
    readonly endpoint: string | null;
    readonly since_epoch: number;
    readonly entry: string;
    readonly leaf_hash: string;
  }[];
  readonly roots: readonly string[];
  readonly headers: readonly {
    readonly payload: string;
    readonly signature: string;
    readonly hash: string;
  }[];
}

const vectors = readVectors<EpochVectors>('epoch.json');
const meshId = fromHex(vectors.mesh_id);
const seed = fromHex(vectors.controller_seed);

for (const crypto of [nobleProvider, nodeProvider]) {
  const entries = vectors.members.map((member): MemberEntry => {
    const signingSeed = fromHex(member.signing_seed);
    const record: KeyRecord = {
      meshId,
      nodeId: member.node_id,
      wireguard: crypto.x25519Public(fromHex(member.wireguard_private)),
      signing: crypto.ed25519Public(signingSeed),
      sealing: crypto.x25519Public(fromHex(member.sealing_private)),
    };
    const envelope = signKeyRecord(crypto, signingSeed, record);
    expect(Buffer.from(envelope.payload, 'base64').toString()).toBe(member.record_payload);
    return {
      ...record,
      recordSignature: recordSignatureIn(crypto, envelope, record.signing),
      tunnelAddress: member.tunnel_address,
      endpoint: member.endpoint,
      sinceEpoch: member.since_epoch,
    };
  });

  test(`${crypto.name}: a mesh is named by its key`, () => {
    expect(controllerFingerprint(crypto, crypto.ed25519Public(seed))).toEqual(meshId);
  });

  test(`${crypto.name}: entries are these bytes, and say the same when read`, () => {
    for (const [i, entry] of entries.entries()) {
      const member = vectors.members[i]!;
      expect(toHex(entry.recordSignature)).toBe(member.record_signature);
      expect(toHex(encodeMemberEntry(entry))).toBe(member.entry);
      const read = decodeMemberEntry(fromHex(member.entry))!;
      expect(toHex(encodeMemberEntry(read))).toBe(member.entry);
      const opened = openKeyRecord(crypto, recordEnvelopeOf(crypto, meshId, read));
      expect(opened).toMatchObject({ ok: true, value: { nodeId: member.node_id } });
    }
  });

  test(`${crypto.name}: the tree over the first n has this root`, () => {
    for (const [n, root] of vectors.roots.entries()) {
      const tree = MembershipTree.empty(crypto).replacedBy(entries.slice(0, n));
      expect(toHex(tree.root)).toBe(root);
      for (const [i, leaf] of tree.leaves.entries()) {
        expect(toHex(leaf.hash)).toBe(vectors.members[i]!.leaf_hash);
      }
    }
  });

  test(`${crypto.name}: headers are signed and named like this, and follow each other`, () => {
    const headers = vectors.headers.map(({ payload, signature, hash }) => {
      const bytes = new TextEncoder().encode(payload);
      const envelope = signPayload(crypto, seed, PAYLOAD_TYPES.header, bytes);
      expect(envelope.signatures[0]!.sig).toBe(toBase64(fromHex(signature)));
      const opened = openHeader(crypto, envelope, toBase64(meshId), [crypto.ed25519Public(seed)]);
      if (!opened.ok) throw new Error(opened.problem.code);
      expect(toHex(opened.value.hash)).toBe(hash);
      expect(JSON.stringify(opened.value.document)).toBe(payload);
      return opened.value;
    });
    expect(headers[0]!.previous).toBeUndefined();
    expect(headers[1]!.previous).toEqual(headers[0]!.hash);
    expect(headers.map((header) => toHex(header.membersRoot))).toEqual(vectors.roots.slice(6));
  });
}
