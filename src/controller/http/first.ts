import type { FastifyRequest } from 'fastify';
import type { Role } from '../../contract/access.ts';
import type { SignatureTag } from '../../contract/http-signature.ts';
import type { Checked } from '../../contract/problems.ts';
import { atLeast } from '../operations/authorise.ts';
import type { Caller } from '../operations/caller.ts';
import { nodeItself } from '../operations/signer.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { networkRequest } from './callers.ts';

/**
 * Options of a route: `mayAsk` is looked at before anything else of a request is, its body unread. Who may not
 * ask is told that, and not what would be expected of those who may.
 */
export function first(
  mayAsk: (request: FastifyRequest) => Checked<unknown> | Promise<Checked<unknown>>,
) {
  return {
    onRequest: async (request: FastifyRequest): Promise<void> => {
      orRefuse(await mayAsk(request));
    },
  };
}

/** The same, for routes that need a role. */
export function roleFirst(services: Services, callerOf: (request: FastifyRequest) => Caller) {
  return (role: Role) => first((request) => atLeast(services, callerOf(request), role));
}

/** The same, for routes of the node that their path names. */
export function nodeFirst(services: Services) {
  return (tag: SignatureTag) =>
    first((request) => {
      const { node_id: nodeId = '' } = request.params as { readonly node_id?: string };
      return nodeItself(services, nodeId, networkRequest(request), tag);
    });
}
