import { setTimeout as delay } from 'node:timers/promises';
import { adminCall, hasController } from './admin-client.ts';
import { type AdminOptions, print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { localStatus } from './meshnet-epoch.ts';

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
export async function waitReady(
  options: HealthOptions & { readonly timeout: number },
): Promise<void> {
  const deadline = performance.now() + options.timeout * 1000;
  for (;;) {
    try {
      return await ready(options);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (performance.now() < deadline) {
        await delay(LOOK_MS);
        continue;
      }
      const message = `not ready within ${options.timeout} s: ${error.message}`;
      throw new CommandError(EXIT.failed, 'not_ready', message);
    }
  }
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
