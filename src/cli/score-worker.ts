import { parentPort, workerData } from 'node:worker_threads';
import { type SignedScore, signedScore, signingKeys } from '../contract/record/evidence.ts';
import { decodeLines } from '../contract/record/verdict-row.ts';
import { defaultProvider } from '../crypto/select.ts';

/** A thread that verifies scores: keys come at the start, then files of evidence, answered in their order. */

const crypto = defaultProvider();
const keys = signingKeys(crypto, workerData as readonly string[]);

parentPort!.on('message', (evidence: Uint8Array) => {
  const scores = (decodeLines(evidence) ?? [])
    .map((line) => signedScore(crypto, line, keys))
    .filter((one) => one !== undefined);
  parentPort!.postMessage(scores satisfies SignedScore[]);
});
