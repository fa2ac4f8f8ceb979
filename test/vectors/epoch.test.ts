import { expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { PAYLOAD_TYPES, type PayloadType, signPayload } from '../../src/contract/envelope.ts';
import { openHeader } from '../../src/contract/epoch/header.ts';
import { openLease } from '../../src/contract/epoch/lease.ts';
import {
  decodeMemberEntry,
  encodeMemberEntry,
  type MemberEntry,
  recordEnvelopeOf,
  recordSignatureIn,
} from '../../src/contract/epoch/member-entry.ts';
import { MembershipTree } from '../../src/contract/epoch/membership-tree.ts';
import { pairPsk } from '../../src/contract/epoch/pair-psk.ts';
import { openRoster } from '../../src/contract/epoch/roster.ts';
import { isSealOf, openBase, openSeals, sealBase } from '../../src/contract/epoch/seals.ts';
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
  readonly seals: {
    readonly ephemeral_private: string;
    readonly base: string;
    readonly payload: string;
    readonly signature: string;
    readonly sealed: readonly {
      readonly node_id: string;
      readonly sealed: string;
      readonly proof: readonly string[];
    }[];
  };
  readonly pairs: readonly {
    readonly a: string;
    readonly b: string;
    readonly shared: string;
    readonly psk: string;
  }[];
  readonly lease: {
    readonly roster_bytes: string;
    readonly payload: string;
    readonly signature: string;
  };
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

  /** The envelope that the controller makes of this payload; its signature must be the one given. */
  const signedByController = (type: PayloadType, payload: string, signature: string) => {
    const envelope = signPayload(crypto, seed, type, new TextEncoder().encode(payload));
    expect(envelope.signatures[0]!.sig).toBe(toBase64(fromHex(signature)));
    return envelope;
  };
  const controllers = [crypto.ed25519Public(seed)];
  const lastHeader = () => {
    const { payload, signature } = vectors.headers.at(-1)!;
    const envelope = signedByController(PAYLOAD_TYPES.header, payload, signature);
    const opened = openHeader(crypto, envelope, toBase64(meshId), controllers);
    if (!opened.ok) throw new Error(opened.problem.code);
    return opened.value;
  };

  test(`${crypto.name}: a base is sealed like this for each member, and opens with its proof`, () => {
    const { seals } = vectors;
    const header = lastHeader();
    const { epoch, version } = header.document;
    const envelope = signedByController(PAYLOAD_TYPES.seals, seals.payload, seals.signature);
    const opened = openSeals(crypto, envelope, header, controllers);
    if (!opened.ok) throw new Error(opened.problem.code);
    const ephemeral = crypto.x25519Public(fromHex(seals.ephemeral_private));
    expect(ephemeral).toEqual(opened.value.ephemeral);
    const common = { meshId, epoch, version, header: header.hash, ephemeral };
    for (const [index, one] of seals.sealed.entries()) {
      const { nodeId, sealing } = entries[index]!;
      const context = { ...common, sealing, nodeId };
      const shared = crypto.x25519(fromHex(seals.ephemeral_private), sealing)!;
      const sealed = sealBase(crypto, shared, context, fromHex(seals.base));
      expect([nodeId, toHex(sealed)]).toEqual([one.node_id, one.sealed]);
      const own = crypto.x25519(fromHex(vectors.members[index]!.sealing_private), ephemeral)!;
      expect(toHex(openBase(crypto, own, context, sealed)!)).toBe(seals.base);
      const proof = one.proof.map(fromHex);
      const isSeal = (at: number, hashes: Uint8Array[]) =>
        isSealOf(crypto, opened.value, { nodeId, index: at }, sealed, hashes);
      expect([isSeal(index, proof), isSeal(index + 1, proof)]).toEqual([true, false]);
      expect(isSeal(index, proof.slice(1))).toBe(false);
      // Bound to everything: with anything else it does not open.
      for (const other of [{ epoch: 1 }, { version: 1 }, { header: meshId }, { nodeId: 'x' }]) {
        expect(openBase(crypto, own, { ...context, ...other }, sealed)).toBeUndefined();
      }
    }
  });

  test(`${crypto.name}: keys of pairs, the same from either end, and others for another story`, () => {
    const header = lastHeader();
    const context = { meshId, epoch: header.document.epoch, membersRoot: header.membersRoot };
    const base = fromHex(vectors.seals.base);
    for (const { a, b, shared, psk } of vectors.pairs) {
      const [one, other] = [a, b].map((id) => entries.find((entry) => entry.nodeId === id)!);
      const key = (nodeId: string) =>
        fromHex(vectors.members.find((member) => member.node_id === nodeId)!.wireguard_private);
      expect(toHex(crypto.x25519(key(b), one!.wireguard)!)).toBe(shared);
      const of = (told: typeof context, dh = fromHex(shared)) =>
        toHex(pairPsk(crypto, told, base, dh, other!, one!));
      expect(of(context)).toBe(psk);
      expect(of({ ...context, membersRoot: meshId })).not.toBe(psk);
      expect(of({ ...context, epoch: 1 })).not.toBe(psk);
      expect(of(context, meshId)).not.toBe(psk);
    }
  });

  test(`${crypto.name}: a lease is signed like this, and names its list of nodes`, () => {
    const { payload, signature, roster_bytes } = vectors.lease;
    const envelope = signedByController(PAYLOAD_TYPES.lease, payload, signature);
    const opened = openLease(crypto, envelope, controllers);
    if (!opened.ok) throw new Error(opened.problem.code);
    expect(opened.value.header).toBe(toBase64(lastHeader().hash));
    const bytes = new TextEncoder().encode(roster_bytes);
    const name = Buffer.from(opened.value.roster, 'base64');
    expect(openRoster(crypto, name, bytes)).toMatchObject([{ node_id: 'node-z', allowed: false }]);
    expect(openRoster(crypto, meshId, bytes)).toBeUndefined();
  });
}
