import { constantTimeEqual } from '../../crypto/bytes.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import { equalBytes, fromBase64 } from '../encoding.ts';
import { bytes32Field } from '../fields.ts';
import { exactly, type FromSchema } from '../from-schema.ts';
import { controllerFingerprint } from '../ids.ts';
import type { Schema } from '../schema.ts';
import { type MeshCheckpoint, openMeshCheckpoint } from './mesh-checkpoint.ts';

const checkpointField = { type: 'string', maxLength: 65_536 } as const satisfies Schema;

const forkedLogSchema = exactly({
  /** Whose fingerprint the mesh id is. */
  controller_key: bytes32Field,
  held: checkpointField,
  other: checkpointField,
});

/** Two checkpoints that the mesh signed and that do not go together, as whoever saw them keeps them. */
export type ForkedLog = FromSchema<typeof forkedLogSchema>;

/** `forked-logs.json` of a node: evidence for whoever knows the mesh's id. */
export const forkedLogsSchema = {
  type: 'array',
  items: forkedLogSchema,
} as const satisfies Schema;

/** Both sides of all of them. Undefined: one is not signed by the mesh of that id (32 bytes). */
export function openForkedLogs(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  forks: readonly ForkedLog[],
): MeshCheckpoint[] | undefined {
  const opened: MeshCheckpoint[] = [];
  for (const { controller_key, held, other } of forks) {
    const controllerKey = fromBase64(controller_key, 32)!;
    if (!equalBytes(controllerFingerprint(crypto, controllerKey), meshId)) return undefined;
    for (const text of [held, other]) {
      const checkpoint = openMeshCheckpoint(crypto, { meshId, controllerKey }, text);
      if (checkpoint === undefined) return undefined;
      opened.push(checkpoint);
    }
  }
  return opened;
}

/** Leaves of which the mesh has signed two logs: that cannot be by mistake. Undefined: none. */
export function sizeOfTwo(checkpoints: readonly MeshCheckpoint[]): number | undefined {
  const roots = new Map<string, Uint8Array>();
  for (const { series, size, root } of checkpoints) {
    const before = roots.get(`${series} ${size}`);
    if (before !== undefined && !constantTimeEqual(before, root)) return size;
    roots.set(`${series} ${size}`, root);
  }
  return undefined;
}
