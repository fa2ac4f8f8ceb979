import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { systemClock } from '../agent/clock.ts';
import { ControllerClient } from '../agent/controller-client.ts';
import { Counters } from '../agent/counters.ts';
import { Emitter } from '../agent/emitter.ts';
import type { AgentEvent } from '../agent/events.ts';
import { type EmitterState, NOTHING_SENT } from '../agent/node-state.ts';
import { fromBase64, fromBase64Url, toBase64 } from '../contract/encoding.ts';
import { isNodeId } from '../contract/ids.ts';
import { readKeyFile, writeKeyFile } from '../contract/key-file.ts';
import { defaultProvider } from '../crypto/select.ts';
import { readJsonFile, replaceFile } from '../ground/files.ts';
import { CommandError, EXIT } from './exit-codes.ts';

export interface ScoreOptions {
  readonly key: string;
  readonly mesh?: string;
  readonly controller: string;
  readonly suite: string;
  readonly samples: number;
  readonly json?: boolean;
}

const CALL_TIMEOUT_MS = 10_000;

/** `meshnet score NODE SCORE`: an evaluator's word about a node. */
export async function score(nodeId: string, value: number, options: ScoreOptions): Promise<void> {
  if (!isNodeId(nodeId)) throw new CommandError(EXIT.usage, 'usage', `${nodeId}: not a node name`);
  const crypto = defaultProvider();
  const random = (length: number) => new Uint8Array(randomBytes(length));
  if (!existsSync(options.key)) {
    writeKeyFile(options.key, random(32));
    const key = toBase64(crypto.ed25519Public(readKeyFile(options.key)));
    process.stderr.write(`made ${options.key}; for the policy's evaluators: ${key}\n`);
  }
  const text = options.mesh ?? '';
  const meshId = fromBase64(text, 32) ?? fromBase64Url(text, 32);
  if (!meshId) {
    const message = '--mesh: the mesh id, which `meshnet epoch --json` on the controller shows';
    throw new CommandError(EXIT.usage, 'usage', message);
  }
  const clock = systemClock;
  const events: AgentEvent[] = [];
  const memory = memoryBeside(options.key, nodeId);
  const client = new ControllerClient({
    fetch,
    clock,
    crypto,
    random,
    url: options.controller,
    timeoutMs: CALL_TIMEOUT_MS,
  });
  client.belongTo(meshId);
  const emitter = new Emitter({
    client,
    source: async () => ({ score: value }),
    state: memory,
    meshId,
    nodeId,
    signingSeed: readKeyFile(options.key),
    clock,
    crypto,
    random: Math.random,
    counters: new Counters(),
    emit: (event) => void events.push(event),
    intervalMs: 1000,
    suite: options.suite,
    samples: options.samples,
  });
  await emitter.once(new AbortController().signal);
  const event = events.at(-1)!;
  if (event.event === 'score') {
    const line = `${nodeId}: ${value} (${event.suite}, sequence ${event.sequence}) accepted`;
    process.stdout.write(`${options.json ? JSON.stringify(event) : line}\n`);
  } else if (event.event === 'score_failed') {
    const unreachable = event.code === 'unreachable' || event.code === 'timeout';
    const exitCode = unreachable ? EXIT.unreachable : EXIT.refused;
    throw new CommandError(exitCode, event.code, event.detail);
  }
}

/** Sequences per node, in a file beside the key: an evaluator reports on many. */
function memoryBeside(key: string, nodeId: string) {
  const path = `${key}.sequences`;
  const all = () => (readJsonFile(path) ?? {}) as Record<string, EmitterState>;
  return {
    readEmitter: (): EmitterState => all()[nodeId] ?? NOTHING_SENT,
    writeEmitter: (value: EmitterState) =>
      replaceFile(path, `${JSON.stringify({ ...all(), [nodeId]: value })}\n`),
  };
}
