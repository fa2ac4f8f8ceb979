import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { accepted, type Checked } from '../../contract/problems.ts';
import type { Services } from '../services.ts';
import type { StreamSink } from '../stream-hub.ts';
import type { NetworkRequest } from './caller.ts';
import { nodeItself } from './signer.ts';

export interface StreamCall {
  readonly nodeId: string;
  readonly request: NetworkRequest;
  /** Called once it is allowed; what it gives is written to from then on. */
  readonly open: () => StreamSink;
}

/** An event for every epoch, from now on. Gives what is to be called when the stream has ended. */
export function openStream(
  services: Services,
  { nodeId, request, open }: StreamCall,
): Checked<() => void> {
  const signer = nodeItself(services, nodeId, request, SIGNATURE_TAGS.stream);
  if (!signer.ok) return signer;
  return accepted(services.streams.add(nodeId, open()));
}
