import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readKeyFile, writeKeyFile } from '../contract/key-file.ts';
import type { KeyRecord } from '../contract/key-record.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';

/** The three private keys of a node (32 bytes each). They are made on the node and never leave it. */
export interface NodeKeys {
  /** X25519 private key of the tunnel. */
  readonly wireguard: Uint8Array;
  /** Ed25519 seed. */
  readonly signing: Uint8Array;
  /** X25519 private key for HPKE. */
  readonly sealing: Uint8Array;
}

const FILES = {
  wireguard: 'wireguard.key',
  signing: 'signing.key',
  sealing: 'sealing.key',
} as const;

/** Reads the keys of a state directory; throws a `KeyFileError` if one is missing or not private. */
export function readNodeKeys(directory: string): NodeKeys {
  return {
    wireguard: readKeyFile(join(directory, FILES.wireguard)),
    signing: readKeyFile(join(directory, FILES.signing)),
    sealing: readKeyFile(join(directory, FILES.sealing)),
  };
}

/** Makes whichever keys are missing, then reads all three. */
export function ensureNodeKeys(directory: string, random: RandomBytes): NodeKeys {
  ensurePrivateDirectory(directory);
  for (const file of Object.values(FILES)) {
    const path = join(directory, file);
    if (!existsSync(path)) writeKeyFile(path, random(32));
  }
  return readNodeKeys(directory);
}

/** Ed25519 seed of a witness: it is there once this node has been one. */
export function ensureWitnessKey(directory: string, random: RandomBytes): Uint8Array {
  const path = join(directory, 'witness.key');
  if (!existsSync(path)) writeKeyFile(path, random(32));
  return readKeyFile(path);
}

/** The public side of the keys, as a node's key record has it. */
export function keyRecordOf(
  crypto: CryptoProvider,
  keys: NodeKeys,
  meshId: Uint8Array,
  nodeId: string,
): KeyRecord {
  return {
    meshId,
    nodeId,
    wireguard: crypto.x25519Public(keys.wireguard),
    signing: crypto.ed25519Public(keys.signing),
    sealing: crypto.x25519Public(keys.sealing),
  };
}
