import type { Asked } from '../contract/record/leaf.ts';
import type { ControllerEvent } from './events.ts';

/** A controller's event as a line for people: in its log and by `meshnet events`. Not escaped. */
export function describeControllerEvent(event: ControllerEvent): string {
  switch (event.event) {
    case 'started':
      return `controller of mesh ${event.mesh_id} listening at ${event.url}`;
    case 'descriptors_short':
      return `the system lets this process open ${event.descriptors} files (RLIMIT_NOFILE): that is ${event.connections} connections, enough for ${event.members} members, and the mesh has addresses for ${event.addresses}. For all of them allow ${event.descriptors_needed}: LimitNOFILE= in a systemd unit, --ulimit nofile= for a container, ulimit -n in a shell`;
    case 'certificate_used':
      return `serves with the certificate of ${event.names}, until ${new Date(event.expires_at).toISOString()}`;
    case 'monitors_served':
      return `listening for monitors at ${event.url}`;
    case 'admins_served':
      return `listening for admins at ${event.socket}`;
    case 'stopping':
      return 'controller stops';
    case 'restored':
      return `the state is a backup: goes on after epoch ${event.epoch}.${event.version}`;
    case 'state_lost':
      return `THE STATE IS AN OLD BACKUP: it ends with epoch ${event.epoch}.${event.version}, and epoch ${event.signed_epoch}.${event.signed_version} was signed before. Nothing is decided or given out. Stop the controller, run: meshnet controller restored, and start it again`;
    case 'enrolled':
      return `${event.node} enrolled: ${event.address}, endpoint ${event.endpoint ?? 'none'}`;
    case 'removed':
      return event.by === 'itself'
        ? `${event.node} left, with epoch ${event.epoch}.${event.version}`
        : `${event.node} removed by an admin, with epoch ${event.epoch}.${event.version}`;
    case 'lapsed':
      return `${event.node} removed with epoch ${event.epoch}.${event.version}: an ephemeral node, silent for ${event.silent_s} s`;
    case 'endpoint_changed':
      return `${event.node} moved from ${event.before ?? 'no endpoint'} to ${[event.endpoint ?? 'no endpoint', ...event.candidates].join(' or ')}`;
    case 'score_accepted':
      return `${event.node}: score ${event.score} (${event.suite}, sequence ${event.sequence})`;
    case 'sequences_reset':
      return `${event.node}: sequences reset by an admin`;
    case 'asked':
      return askedFor(event);
    case 'rotated':
      return `epoch ${event.epoch}.${event.version} was asked for by an admin`;
    case 'epoch_committed':
      return describeEpoch(event);
    case 'brake':
      return describeBrake(event);
    case 'brake_released':
      return `BRAKE: released by an admin: epoch ${event.epoch}.${event.version} is without ${listed(event.removed)}`;
    case 'policy_set':
      return `another policy from the next epoch on: ${event.rules.join(' | ')}; as scores are, ${event.would_cut.length} of ${event.members} members would be cut`;
    case 'epoch_failed':
      return `deciding an epoch failed: ${event.detail}`;
    case 'waiting':
      return `epoch ${event.epoch} goes on until ${listed(event.members)} have reported again, at most until ${new Date(event.until).toISOString()}`;
    case 'overload':
      return `nobody could be attended to for ${Math.round(event.missed_ms)} ms: reports may be missing`;
    case 'token_issued':
      return `join token ${event.token} issued for ${event.node ?? 'any node'}, until ${new Date(event.expires_at).toISOString()}`;
    case 'token_used':
      return `join token ${event.token} used by ${event.node}`;
    case 'token_deleted':
      return `join token ${event.token} withdrawn`;
    case 'refused':
      return `a request was refused: ${event.code} (${event.status})`;
    case 'request_failed':
      return `${event.route} failed: ${event.detail}`;
    case 'subscriber_failed':
      return `${event.subscriber} failed: ${event.detail}`;
    case 'subscriber_recovered':
      return `${event.subscriber} works again`;
  }
}

/** Who asked for what, without a full stop. */
export function askedFor({ by, what, about }: Asked): string {
  const who = by === null ? 'The admin socket was' : `With the access token ${by} it was`;
  return `${who} asked to ${what.replaceAll('_', ' ')}${about === null ? '' : ` ${about}`}`;
}

function describeBrake(event: Extract<ControllerEvent, { event: 'brake' }>): string {
  if (event.phase === 'open')
    return `BRAKE: it holds nobody any more, from epoch ${event.epoch} on`;
  const many = `${event.held.length + event.cut} members would be cut in epoch ${event.epoch}`;
  return event.phase === 'frozen'
    ? `BRAKE: ${many}: nobody is. Is it their fault, or what they have in common? meshnet why NODE`
    : `BRAKE: ${many}: only the worst ${event.cut} are`;
}

function describeEpoch(event: Extract<ControllerEvent, { event: 'epoch_committed' }>): string {
  const gone = event.removed.length > 0 ? `, without ${event.removed.join(' ')}` : '';
  const changes = event.changes.map(
    ({ node, allowed, explanation }) => `; ${node} ${allowed ? 'in' : 'OUT'}: ${explanation}`,
  );
  return `epoch ${event.epoch}.${event.version}: ${listed(event.members)}${gone}${changes.join('')}`;
}

function listed(names: readonly string[]): string {
  return names.length > 0 ? names.join(' ') : 'nobody';
}
