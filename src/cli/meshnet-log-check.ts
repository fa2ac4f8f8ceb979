import { readFileSync } from 'node:fs';
import { parseJson } from '../contract/encoding.ts';
import {
  type ForkedLog,
  forkedLogsSchema,
  openForkedLogs,
  sizeOfTwo,
} from '../contract/record/forked-logs.ts';
import type { MeshCheckpoint } from '../contract/record/mesh-checkpoint.ts';
import { openProof } from '../contract/record/proof.ts';
import { numbersOf } from '../contract/record/verdict-row.ts';
import { violation } from '../contract/schema.ts';
import { checkVerdict } from '../controller/record/check-proof.ts';
import { defaultProvider } from '../crypto/select.ts';
import { print } from './answer.ts';
import { meshOf } from './evaluator.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** What a file shows. */
interface Shown {
  readonly told: object;
  readonly text: string;
  readonly checkpoints: readonly MeshCheckpoint[];
}

/**
 * `meshnet log check FILE... --mesh ID`: needs no network, and nothing but the mesh's id. Files are
 * verdicts as `prove` writes them, and logs that forked as nodes keep them. Together they may show more
 * than each alone: that the mesh has signed two logs.
 */
export function check(
  files: readonly string[],
  options: { readonly mesh: string; readonly json?: boolean },
): void {
  const meshId = meshOf(options.mesh);
  const shown = files.map((file) => fileShows(file, meshId));
  const told = shown.map((one) => one.told);
  const size = sizeOfTwo(shown.flatMap((one) => one.checkpoints));
  const text = shown.map((one) => one.text).join('\n\n');
  print(options, files.length === 1 ? told[0]! : told, text);
  if (size === undefined) return;
  const what = `${files.join(', ')}: the mesh has signed two logs of ${size} leaves`;
  throw new CommandError(EXIT.failed, 'two_logs', what);
}

function fileShows(file: string, meshId: Uint8Array): Shown {
  const value = parseJson(readFileSync(file));
  const shown = Array.isArray(value) ? forksShow(value, meshId) : proofShows(value, meshId);
  if (typeof shown === 'object') return shown;
  throw new CommandError(EXIT.failed, 'wrong_proof', `${file}: ${shown}`);
}

/** A string: what is wrong with it. */
function forksShow(value: unknown, meshId: Uint8Array): Shown | string {
  const bad = violation(forkedLogsSchema, value);
  if (bad) return `${bad.field || 'the file'}: expected ${bad.expected}`;
  const checkpoints = openForkedLogs(defaultProvider(), meshId, value as readonly ForkedLog[]);
  if (checkpoints === undefined) return 'a checkpoint is not signed by the mesh';
  const lines = checkpoints.map(
    ({ origin, size }) => `${origin} of ${size} leaves, signed by the mesh`,
  );
  const told = { checkpoints: checkpoints.map(({ origin, size }) => ({ origin, size })) };
  return { told, text: lines.join('\n'), checkpoints };
}

/** A string: what is wrong with it. */
function proofShows(value: unknown, meshId: Uint8Array): Shown | string {
  const crypto = defaultProvider();
  const proof = openProof(crypto, meshId, value);
  if (typeof proof === 'string') return proof;
  const again = checkVerdict(crypto, meshId, proof);
  if (typeof again === 'string') return `the verdict does not follow: ${again}`;
  const { row, epoch, checkpoint } = proof;
  const { node, allowed } = row;
  const at = new Date(epoch.at).toISOString();
  const lines = [
    `${node} ${allowed ? 'was a member' : 'was denied'} in epoch ${epoch.epoch}, at ${at}: ${numbersOf(row)}`,
    `in the log ${checkpoint.origin} of ${checkpoint.size} leaves, signed by the mesh`,
    `the verdict follows from ${row.evidence.length} signed scores and the policy then in force`,
    ...(again.isAsserted
      ? ['and from what only the controller knew: it was away, or no config was fetched']
      : []),
  ];
  const { standing: _, salt: __, ...of } = row;
  const told = { epoch: epoch.epoch, at: epoch.at, ...of, asserted: again.isAsserted };
  return { told, text: lines.join('\n'), checkpoints: [checkpoint] };
}
