import { signingKeyId } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { StampedEvent } from './events.ts';

/** OpenID Continuous Access Evaluation Profile 1.0, section 3. */
const COMPLIANCE = 'https://schemas.openid.net/secevent/caep/event-type/device-compliance-change';
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';

/** Claims of a Security Event Token (RFC 8417), one event in each. */
export interface SecurityEvent {
  readonly iss: string;
  /** The same whenever it is told again. */
  readonly jti: string;
  /** Seconds since 1970. */
  readonly iat: number;
  /** Tokens of one epoch have one. */
  readonly txn: string;
  /** RFC 9493: the node's name. */
  readonly sub_id: { readonly format: 'opaque'; readonly id: string };
  readonly events: Readonly<Record<string, object>>;
}

/** Who signs: named by the mesh id, which is the fingerprint of the key that verifies. */
export function issuerOf(meshId: Uint8Array): string {
  return `aligned-meshnet/${meshId.toHex()}`;
}

/**
 * What an event means to others: a node that is not a member any more does not comply, one that has
 * become one does; one that an admin removed has no session any more.
 */
export function securityEventsOf(event: StampedEvent, meshId: Uint8Array): SecurityEvent[] {
  if (event.event !== 'epoch_committed' && event.event !== 'removed') return [];
  const iat = Math.floor(event.at / 1000);
  const txn = `${event.epoch}.${event.version}`;
  const about = (node: string, type: string, of: object): SecurityEvent => ({
    iss: issuerOf(meshId),
    jti: `${txn}.${node}.${event.event}`,
    iat,
    txn,
    sub_id: { format: 'opaque', id: node },
    events: { [type]: { event_timestamp: iat, ...of } },
  });
  if (event.event === 'removed') {
    return [about(event.node, REVOKED, { initiating_entity: 'admin' })];
  }
  return event.changes
    .filter((change) => change.allowed !== (change.before ?? false))
    .map(({ node, allowed, explanation }) =>
      about(node, COMPLIANCE, {
        previous_status: allowed ? 'not-compliant' : 'compliant',
        current_status: allowed ? 'compliant' : 'not-compliant',
        initiating_entity: 'policy',
        reason_admin: { en: explanation },
      }),
    );
}

/** Signs a token for one audience: a JWT (RFC 7519) by the mesh's Ed25519 key (RFC 8037). */
export function signSecurityEvent(
  crypto: CryptoProvider,
  seed: Uint8Array,
  event: SecurityEvent,
  audience: string,
): string {
  const kid = signingKeyId(crypto, crypto.ed25519Public(seed));
  const header = { alg: 'EdDSA', typ: 'secevent+jwt', kid };
  const input = [header, { ...event, aud: audience }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = crypto.ed25519Sign(seed, Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

/** The key that verifies them, as a JWK Set (RFC 7517). */
export function keySet(crypto: CryptoProvider, seed: Uint8Array): object {
  const key = crypto.ed25519Public(seed);
  const x = Buffer.from(key).toString('base64url');
  const kid = signingKeyId(crypto, key);
  return { keys: [{ kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' }] };
}
