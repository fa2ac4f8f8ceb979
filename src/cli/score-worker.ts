import { parentPort, workerData } from 'node:worker_threads';
import { type SignedScore, type SigningKeys, signedScores } from '../contract/record/evidence.ts';
import { defaultProvider } from '../crypto/select.ts';

/** A thread that verifies scores: keys come at the start, then files of evidence, some at a time, answered in their order. */

const crypto = defaultProvider();
const keys = workerData as SigningKeys;

parentPort!.on('message', (files: readonly Uint8Array[]) => {
  parentPort!.postMessage(signedScores(crypto, files, keys) satisfies SignedScore[][]);
});
