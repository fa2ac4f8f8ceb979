import { randomBytes } from 'node:crypto';
import { CallError } from '../agent/controller-answer.ts';
import type { ControllerClient } from '../agent/controller-client.ts';
import { readKnownController } from '../agent/known-controller.ts';
import { readNodeKeys } from '../agent/node-keys.ts';
import { openNodeState } from '../agent/node-state.ts';
import { fromBase64 } from '../contract/encoding.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { networkClient } from './network-client.ts';

/** Asks a controller as the node of this machine. */
export interface MemberClient {
  /** Of the mesh that the node is enrolled in, 32 bytes; undefined: there is no node. */
  readonly meshId: Uint8Array | undefined;
  readonly nodeId: string | undefined;
  /** Rejects with a `CommandError` where the controller cannot be reached or refuses. */
  ask<T>(call: (client: ControllerClient, signingSeed: Uint8Array) => Promise<T>): Promise<T>;
}

/** `state`: directory of the node. */
export function memberClient(url: string, state: string): MemberClient {
  const known = readKnownController(state) !== undefined;
  const enrolment = known ? openNodeState(state).readEnrolment() : undefined;
  const meshId = fromBase64(enrolment?.mesh_id ?? '', 32);
  const client = networkClient(url, meshId);
  return {
    meshId,
    nodeId: enrolment?.node_id,
    async ask(call) {
      try {
        // Nobody's signature is refused, except on the controller's own machine, which needs none.
        return await call(
          client,
          known ? readNodeKeys(state).signing : new Uint8Array(randomBytes(32)),
        );
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        const exitCode = error.status === 0 ? EXIT.unreachable : EXIT.refused;
        const members = 'only members may ask this over the network';
        const signed = known ? `the node of ${state} signed` : `there is no node in ${state}`;
        const hint = error.status === 401 || error.status === 403 ? ` (${members}; ${signed})` : '';
        throw new CommandError(exitCode, error.code, `${url}: ${error.message}${hint}`);
      }
    },
  };
}
