import { CallError } from '../agent/controller-answer.ts';
import { forgetNode } from '../agent/forget-node.ts';
import { readKnownController } from '../agent/known-controller.ts';
import { readNodeKeys } from '../agent/node-keys.ts';
import { type Enrolment, openNodeState } from '../agent/node-state.ts';
import { fromBase64 } from '../contract/encoding.ts';
import { isNodeState } from '../doctor/node.ts';
import { print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { networkClient } from './network-client.ts';
import { nodeCall } from './node-client.ts';

/** How long (ms) a node that runs is given to end. */
const ENDS_WITHIN = 20_000;
/** A node that is out already has nothing to say. */
const GONE = new Set(['node_removed', 'unknown_node']);

export interface LeaveOptions {
  readonly state: string;
  readonly controller?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/**
 * `meshnet leave`: the controller is told first, signed by the node; then the node ends if it runs, and
 * its keys and memory are deleted. If the controller cannot be told, nothing has changed.
 */
export async function leave(options: LeaveOptions): Promise<void> {
  const { state } = options;
  const enrolment = isNodeState(state) ? openNodeState(state).readEnrolment() : undefined;
  if (enrolment === undefined) {
    throw new CommandError(EXIT.failed, 'not_enrolled', `no node is enrolled in ${state}`);
  }
  const { node_id } = enrolment;
  const told = await tell(enrolment, options);
  await nodeCall(state, 'POST', '/v1/stop').catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error; // none runs; the lock says if one does
  });
  forgetNode(state, ENDS_WITHIN);
  const rest = told ? '' : `; run on the controller: meshnet node remove ${node_id}`;
  print(options, { node_id, told }, `${node_id} has left, its keys are deleted${rest}`);
}

/** False: it was not told, and that was to be no hindrance. */
async function tell({ mesh_id, node_id }: Enrolment, options: LeaveOptions): Promise<boolean> {
  const { state, force = false } = options;
  try {
    const url = options.controller ?? readKnownController(state);
    if (url === undefined) throw new CallError(0, 'unreachable', 'no controller is known');
    const client = networkClient(url, fromBase64(mesh_id, 32));
    await client.leave(node_id, readNodeKeys(state).signing);
    return true;
  } catch (error) {
    if (force) return false;
    if (!(error instanceof CallError)) throw error;
    if (GONE.has(error.code)) return true;
    const exitCode = error.status === 0 ? EXIT.unreachable : EXIT.refused;
    const message = `${error.message}. Nothing has changed; --force leaves without its knowledge`;
    throw new CommandError(exitCode, error.code, message);
  }
}
