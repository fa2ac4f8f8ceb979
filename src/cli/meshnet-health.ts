import { setTimeout as delay } from 'node:timers/promises';
import type { NodeStatusDocument } from '../agent/status.ts';
import { type EpochDocument, epochInPages } from '../contract/epoch.ts';
import { adminCall, hasController } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { localStatus, nodeNamed } from './meshnet-epoch.ts';
import { nodeCall } from './node-client.ts';

interface HealthOptions extends AdminOptions {
  /** Of the node, which is asked where there is no controller. */
  readonly state: string;
}

/**
 * `meshnet health`: asks the controller of this machine (or container), or else its node. Rejects with
 * a `CommandError` if there is neither, or it is not ready to do what it is there for. A node that was
 * told that it is out is healthy: that is what it is there for, too.
 */
export async function health(options: HealthOptions): Promise<void> {
  if (hasController(options)) return controllerReady(options);
  const { node_id, state, ready_reason } = nodeOf(options);
  if (state === 'starting') {
    throw new CommandError(EXIT.failed, 'not_ready', `${node_id} has no config yet`);
  }
  print(options, { node: node_id, state, ready_reason }, `${node_id}: ${state}, ${ready_reason}`);
}

const LOOK_MS = 200;

/**
 * `meshnet wait-ready`: returns once the controller decides epochs, or the node is a member whose
 * handshakes are done. Rejects with what it waited for if that does not come about in time.
 */
export function waitReady(options: HealthOptions & Waiting): Promise<void> {
  return waitUntil('ready', () => ready(options), options);
}

/**
 * `meshnet wait-out NODE`: returns once the epoch in force is without that node; asked at a node, once that
 * one has dropped its keys, so that no packet is taken from it any more. Rejects as `waitReady` does.
 */
export function waitOut(nodeId: string, options: HealthOptions & Waiting): Promise<void> {
  return waitUntil('out', () => out(nodeId, options), options);
}

interface Waiting {
  /** s. */
  readonly timeout: number;
}

async function waitUntil(
  what: string,
  look: () => Promise<void>,
  { timeout }: Waiting,
): Promise<void> {
  const deadline = performance.now() + timeout * 1000;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof CommandError) || error.exitCode === EXIT.refused) throw error;
      if (performance.now() < deadline) {
        await delay(LOOK_MS);
        continue;
      }
      const message = `not ${what} within ${timeout} s: ${error.message}`;
      throw new CommandError(EXIT.failed, `not_${what}`, message);
    }
  }
}

async function out(nodeId: string, options: HealthOptions): Promise<void> {
  if (!hasController(options)) return outAt(nodeId, options);
  const read = (target: string) => adminCall<EpochDocument>(options, 'GET', target);
  const epoch = await epochInPages(read);
  const { allowed, explanation } = nodeNamed(epoch, nodeId);
  if (allowed) {
    const message = `${nodeId} is a member in epoch ${epoch.epoch}: ${explanation}`;
    throw new CommandError(EXIT.failed, 'not_out', message);
  }
  const text = `${nodeId}: out in epoch ${epoch.epoch}: ${explanation}`;
  print(options, { node: nodeId, epoch: epoch.epoch, explanation }, text);
}

async function outAt(nodeId: string, { state, ...options }: HealthOptions): Promise<void> {
  const { node_id, epoch, peers } = await nodeCall<NodeStatusDocument>(state, 'GET', '/v1/status');
  if (peers.some((peer) => peer.node_id === nodeId)) {
    const message = `${node_id} has keys with ${nodeId} in epoch ${epoch}`;
    throw new CommandError(EXIT.failed, 'not_out', message);
  }
  const text = `${nodeId}: out, ${node_id} has no keys with it in epoch ${epoch}`;
  print(options, { node: nodeId, epoch, asked: node_id }, text);
}

async function ready(options: HealthOptions): Promise<void> {
  if (hasController(options)) return controllerReady(options);
  const { node_id, ready: isReady, ready_reason, explanation } = nodeOf(options);
  if (!isReady) {
    const why = ready_reason === 'denied' && explanation !== null ? `: ${explanation}` : '';
    throw new CommandError(EXIT.failed, 'not_ready', `${node_id}: ${ready_reason}${why}`);
  }
  print(options, { node: node_id, ready_reason }, `${node_id}: ready`);
}

async function controllerReady(options: AdminOptions): Promise<void> {
  await adminCall<unknown>(options, 'GET', '/readyz');
  print(options, { controller: 'ready' }, 'controller: ready');
}

function nodeOf({ socket, state }: HealthOptions) {
  const node = localStatus(state);
  if (node !== undefined) return node;
  const message = `no controller listens at ${socket}, no node runs in ${state}`;
  throw new CommandError(EXIT.unreachable, 'unreachable', message);
}
