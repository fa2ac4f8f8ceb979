import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { AgentClock } from '../agent/clock.ts';
import { CallError, reason } from '../agent/controller-answer.ts';
import { ControllerClient } from '../agent/controller-client.ts';
import type { Fetch } from '../agent/http-calls.ts';
import { isLoopbackHost } from '../contract/loopback-host.ts';
import { FIRST_PROTOCOL, PROTOCOL, PROTOCOL_HEADER } from '../contract/protocol.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

const TIMEOUT_MS = 5000;
/** A `Date` header has whole seconds, and the answer takes its time. */
const CLOCK_SLACK_MS = 3000;
const DAY_MS = 86_400_000;
const EXPIRES_SOON_DAYS = 14;

export interface ReachOptions {
  readonly url: string;
  readonly meshId: Uint8Array | undefined;
  readonly fetch: Fetch;
  readonly clock: AgentClock;
  /** Variables that name proxies. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Whether a controller answers at a URL, in which version, and by which clock. */
export async function reachOf(options: ReachOptions): Promise<Finding[]> {
  const { url, meshId, fetch, clock } = options;
  const base = new URL(url);
  const target = new URL(`${base.pathname.replace(/\/$/, '')}/healthz`, base);
  const startedAt = clock.monotonic();
  let response: Response;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(target.href, { redirect: 'manual', signal }, meshId);
    await response.body?.cancel();
  } catch (error) {
    const why = reason(error);
    return [problem('reach', `${url} cannot be reached: ${why}`, remedyOf(why, options))];
  }
  const ms = Math.round(clock.monotonic() - startedAt);
  const protocol = response.headers.get(PROTOCOL_HEADER);
  if (response.status !== 200) {
    const found = `${url} answers ${response.status}, which no controller does`;
    return [problem('reach', found, 'look who answers there: a proxy, a captive portal?')];
  }
  return [
    ok('reach', `${url} answers in ${ms} ms`),
    clockFinding(response.headers.get('date'), clock.wall()),
    versionFinding(protocol),
  ];
}

function remedyOf(why: string, { url, environment }: ReachOptions): string {
  const proxy = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY'].find(
    (name) => environment[name],
  );
  if (proxy !== undefined)
    return `${proxy} is set, and not used: let this machine reach it directly`;
  const { host, protocol } = new URL(url);
  if (/ENOTFOUND|EAI_AGAIN/.test(why)) return `mend the name ${host}, or give --controller another`;
  // The sentence of ours, or OpenSSL's name of what is wrong.
  if (/certificate|CERT|UNABLE_TO_/.test(why)) {
    return 'ask who answers there; a private authority goes into NODE_EXTRA_CA_CERTS, another mesh needs its own token';
  }
  if (/ECONNREFUSED/.test(why)) return 'start the controller there, with --listen beyond loopback';
  if (/UND_ERR_SOCKET|EPROTO|WRONG_VERSION|ECONNRESET|hang up/.test(why)) {
    return `if it speaks ${protocol === 'https:' ? 'plain HTTP, its URL begins with http://' : 'TLS, its URL begins with https://'}`;
  }
  return `open TCP to ${host} in the firewalls on the way`;
}

function clockFinding(date: string | null, wall: number): Finding {
  const theirs = Date.parse(date ?? '');
  if (Number.isNaN(theirs)) return ok('clock', 'the controller does not tell its time');
  const off = wall - theirs;
  if (Math.abs(off) <= CLOCK_SLACK_MS) return ok('clock', "agrees with the controller's");
  const found = `is ${Math.round(Math.abs(off) / 1000)} s ${off < 0 ? 'behind' : 'ahead of'} the controller's`;
  const remedy = 'set the clock (NTP) on the machine that is wrong: dated results would not count';
  return warning('clock', found, remedy);
}

function versionFinding(header: string | null): Finding {
  const theirs = header === null ? FIRST_PROTOCOL : Number(header);
  const found = `the controller speaks protocol ${theirs}, this program ${PROTOCOL}`;
  if (theirs === PROTOCOL) return ok('versions', found);
  const remedy = `upgrade the ${theirs < PROTOCOL ? 'controller' : 'program here'}`;
  const level = Math.abs(theirs - PROTOCOL) === 1 ? warning : problem;
  return level('versions', found, remedy);
}

export interface AuthorityOptions extends ReachOptions {
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly signingSeed: Uint8Array;
}

/** Whether a signed request arrives as it was sent: nothing on the way may change its authority or path. */
export async function authorityOf(options: AuthorityOptions): Promise<Finding[]> {
  const { signingSeed, meshId } = options;
  const client = new ControllerClient({ ...options, timeoutMs: TIMEOUT_MS });
  if (meshId !== undefined) client.belongTo(meshId);
  const arrives = ok('authority', 'signed requests arrive as they are sent');
  try {
    await client.getEpoch(signingSeed);
    return [arrives];
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const found = `a signed request is refused: ${error.message} (${error.code})`;
    if (error.code === 'not_authorized') return [arrives]; // known, and no member
    if (error.code === 'signature_invalid') {
      const remedy =
        'if a proxy is on the way, it must pass Host on as it came (proxy_set_header Host $http_host); else this node is not enrolled there: meshnet node add on the controller';
      return [problem('authority', found, remedy)];
    }
    if (error.code === 'node_removed') {
      return [problem('authority', found, 'enrol again: meshnet node add on the controller')];
    }
    return [problem('authority', found, 'see what the message names')];
  }
}

/** The certificate that is presented at a URL: how long it is good for, and whether there is one. */
export async function tlsOf(url: string, now: number): Promise<Finding[]> {
  const { protocol, host, hostname, port } = new URL(url);
  if (protocol === 'http:') {
    if (isLoopbackHost(host)) return [ok('tls', 'plain HTTP, on this machine')];
    const remedy = 'start the controller without --insecure-http, and use https://';
    return [warning('tls', 'plain HTTP: keys are sealed, all else can be read', remedy)];
  }
  const expiresAt = await expiryAt(hostname.replace(/^\[|\]$/g, ''), Number(port) || 443);
  const days = Math.floor((expiresAt - now) / DAY_MS);
  if (days >= EXPIRES_SOON_DAYS) return [ok('tls', `the certificate is good for ${days} days`)];
  const found =
    days < 0 ? 'the certificate has expired' : `the certificate expires in ${days} days`;
  const level = days < 0 ? problem : warning;
  return [level('tls', found, 'renew it; the controller reads --tls-cert again by itself')];
}

/** When the certificate that somebody presents expires, ms since 1970. Who it is is not looked at. */
function expiryAt(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port, rejectUnauthorized: false, ...servername });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('no answer in time')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate === undefined) reject(new Error('no certificate was presented'));
      else resolve(Date.parse(certificate.validTo));
    });
  });
}
