import { setTimeout as delay } from 'node:timers/promises';
import type { PingAnswer } from '../agent/socket/ping-node.ts';
import { print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { nodeCall } from './node-client.ts';
import { duration } from './table.ts';

const INTERVAL_MS = 1000;

/** `meshnet ping NODE`: a line for each echo. Rejects with a `CommandError` if none came back. */
export async function ping(
  node: string,
  options: { readonly count: number; readonly state: string; readonly json?: boolean },
): Promise<void> {
  let answered = 0;
  let last: PingAnswer | undefined;
  for (let n = 0; n < options.count; n++) {
    if (n > 0) await delay(INTERVAL_MS);
    last = await nodeCall<PingAnswer>(
      options.state,
      'POST',
      `/v1/ping/${encodeURIComponent(node)}`,
    );
    if (last.rtt_ms !== null) answered++;
    print(options, last, pingLine(last));
  }
  if (answered === 0) {
    throw new CommandError(EXIT.failed, 'no_answer', `${node}: ${whyNot(last!)}`);
  }
}

function pingLine({ node, address, rtt_ms, error, ...peer }: PingAnswer): string {
  const result = rtt_ms !== null ? `${rtt_ms} ms` : (error ?? 'no answer');
  return `${node} ${address}: ${result}, ${wayOf(peer)}`;
}

function wayOf({
  endpoint,
  handshake_age_s,
}: Pick<PingAnswer, 'endpoint' | 'handshake_age_s'>): string {
  const path = endpoint === null ? 'no path' : `by ${endpoint}`;
  const age =
    handshake_age_s === null ? 'no handshake' : `handshake ${duration(handshake_age_s)} ago`;
  return `${path}, ${age}`;
}

function whyNot({ allowed, error, endpoint, handshake_age_s }: PingAnswer): string {
  if (error !== null) return `could not be asked: ${error}`;
  if (!allowed) return 'is no member: nobody reaches it (meshnet why NODE)';
  if (handshake_age_s !== null) return 'nothing came out of the tunnel';
  if (endpoint === null) return 'no path: neither side knows an endpoint (--advertise ADDRESS)';
  return `no handshake with ${endpoint}: is UDP open there, and for answers here?`;
}
