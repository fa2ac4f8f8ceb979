import { parentPort, workerData } from 'node:worker_threads';
import { type SignedScore, type SigningKeys, signedScores } from '../contract/record/evidence.ts';
import { defaultProvider } from '../crypto/select.ts';

/** A thread that verifies scores: keys come at the start, then files of evidence, answered in their order. */

const crypto = defaultProvider();
const keys = workerData as SigningKeys;

parentPort!.on('message', (evidence: Uint8Array) => {
  parentPort!.postMessage(signedScores(crypto, evidence, keys) satisfies SignedScore[]);
});
