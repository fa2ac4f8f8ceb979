import type { AgentEvent } from '../agent/events.ts';

/** An agent's event as a line for people. */
export function describeEvent(event: AgentEvent): string {
  switch (event.event) {
    case 'enrolled':
      return `enrolled as ${event.node}, tunnel address ${event.address}`;
    case 'started':
      return `${event.node} is up: ${event.backend}, ${event.address}, endpoint ${event.endpoint ?? 'none'}${dataPath(event)}`;
    case 'config': {
      const verdict = event.allowed ? 'member' : 'denied';
      const members = event.members.length > 0 ? event.members.join(' ') : 'nobody';
      const gone = event.removed.length > 0 ? `, without ${event.removed.join(' ')}` : '';
      return `epoch ${event.epoch}.${event.version}: ${verdict} (${event.explanation}); peers: ${members}${gone}`;
    }
    case 'removed':
      return `epoch ${event.epoch}.${event.version}: removed ${event.nodes.join(' ') || 'all peers'} in ${event.took_ms} ms`;
    case 'ignored':
      return `ignored a ${event.what}: ${event.reason} (${event.detail})`;
    case 'key_changed':
      return event.accepted
        ? `${event.node} has OTHER KEYS than before; they are taken, because the name was away for long`
        : `REFUSED ${event.node}: its keys are not the ones it had before`;
    case 'split_view':
      return `THE CONTROLLER TELLS TWO STORIES about epoch ${event.epoch}.${event.version}: the second is not acted on; both are kept in split-views.json`;
    case 'forked_log':
      return `THE CONTROLLER HAS TWO LOGS: ${event.detail}; no config is acted on any more; both checkpoints are kept in forked-logs.json`;
    case 'witness':
      return `witness of the log, for the controller: --witness '${event.key} ${event.url}'`;
    case 'witness_refused':
      return `NOT COSIGNED: a checkpoint of ${event.leaves} leaves without a proof that it extends what was cosigned`;
    case 'header_leap':
      return `epoch ${event.epoch}.${event.version} does not follow from what this node knew: taken, as after a restored backup or a long absence`;
    case 'fail_closed':
      return `FAILED CLOSED: no config for ${event.silent_s} s, so all peers are dropped until the controller is back`;
    case 'recovered':
      return `recovered in epoch ${event.epoch}`;
    case 'resumed':
      return `resumed after ${event.suspended_s} s of suspend: all sessions expired`;
    case 'controller':
      return event.ok
        ? `controller: ${event.call} works again`
        : `controller: ${event.call} failed: ${event.detail} (${event.code})`;
    case 'file':
      return event.ok ? `${event.path} is written again` : `${event.path}: ${event.detail}`;
    case 'device_error':
      return `the device refused a change: ${event.detail}`;
    case 'device_note':
      return `device: ${event.detail}`;
    case 'score':
      return `score ${event.score.toFixed(3)} (${event.suite}, sequence ${event.sequence})`;
    case 'score_failed':
      return `no score delivered (${event.suite}): ${event.detail} (${event.code})`;
    case 'probe': {
      const listed = event.allowed ? 'member' : 'denied';
      const result =
        event.error !== null
          ? `could not be asked: ${event.error}`
          : event.ok
            ? `${event.rtt_ms} ms`
            : 'no answer';
      return `probe ${event.node} ${event.address} (${listed}): ${result}`;
    }
    case 'endpoint': {
      const what = [event.endpoint ?? 'no endpoint', ...event.candidates].join(' or ');
      return event.ok ? `the mesh was told: ${what}` : `${what} was not taken: ${event.detail}`;
    }
    case 'ready':
      return event.ready ? 'ready' : `not ready: ${event.reason}`;
    case 'stopped':
      return 'stopped';
  }
}

function dataPath({
  aead,
  offloads,
}: {
  aead: string | null;
  offloads: readonly string[];
}): string {
  if (aead === null) return '';
  return `, AEAD ${aead}, offloads ${offloads.join(' ') || 'none'}`;
}
