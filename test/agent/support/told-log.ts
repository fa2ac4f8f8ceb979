import { toBase64 } from '../../../src/contract/encoding.ts';
import { controllerFingerprint } from '../../../src/contract/ids.ts';
import { logOrigin } from '../../../src/contract/record/origin.ts';
import { nodeProvider as crypto } from '../../../src/crypto/node.ts';
import { signCheckpoint } from '../../../src/record/checkpoint.ts';
import { consistencyProof, leafHash, MerkleTree } from '../../../src/record/merkle.ts';

const seed = new Uint8Array(32).fill(4);
export const controllerKey = crypto.ed25519Public(seed);
export const meshId = controllerFingerprint(crypto, controllerKey);

/** A log whose leaves are `story` and their numbers. */
export function logOf(story: string, series = 0) {
  const hashes = (size: number): Uint8Array[] =>
    Array.from({ length: size }, (_, i) =>
      leafHash(crypto, Buffer.from(`${i < 3 ? '' : story}${i}`)),
    );
  const root = (size: number): Uint8Array => new MerkleTree(crypto, hashes(size)).root;
  return {
    at: (size: number): string =>
      signCheckpoint(crypto, seed, { origin: logOrigin(meshId, series), size, root: root(size) }),
    proof: (oldSize: number, size: number): string[] =>
      consistencyProof(crypto, oldSize, size, ({ level, index }) => {
        const from = index * 2 ** level;
        return new MerkleTree(crypto, hashes(size).slice(from, from + 2 ** level)).root;
      }).map(toBase64),
  };
}
