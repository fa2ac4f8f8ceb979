import type { FastifyRequest } from 'fastify';
import type { AccessSelf } from '../contract/access.ts';
import type { HolderCaller } from '../controller/operations/caller.ts';
import { refuse } from '../controller/problem-error.ts';
import { SESSION_MS, type Sessions } from './sessions.ts';
import type { DashboardSource } from './source.ts';

/** Bound to this host and to TLS (RFC 6265bis, section 4.1.3.2); on loopback browsers take HTTP for private. */
export const COOKIE = '__Host-meshnet';
const SHOWN = new RegExp(`(?:^|; *)${COOKIE}=([A-Za-z0-9_-]{43})(?:;|$)`);
const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict';
/** Whoever follows the mesh is asked this often whether it still may, ms. */
const LOOK_MS = 5000;

/** Who looks at the page, by the session that its browser shows. */
export class Visitors {
  /** Whether one must have signed in to read. */
  readonly mustSignIn: boolean;
  private readonly sessions: Sessions;
  private readonly source: () => DashboardSource;

  constructor(mustSignIn: boolean, sessions: Sessions, source: () => DashboardSource) {
    this.mustSignIn = mustSignIn;
    this.sessions = sessions;
    this.source = source;
  }

  /** Refuses whoever may not read. */
  async mustRead(request: FastifyRequest): Promise<void> {
    if (!this.mustSignIn || (await this.who(request)) !== undefined) return;
    refuse('access_token_invalid', { detail: SIGN_IN });
  }

  /** The holder that signed in, for what needs a role. */
  mustHold(request: FastifyRequest): HolderCaller {
    return this.holder(request) ?? refuse('access_token_invalid', { detail: SIGN_IN });
  }

  /** Who signed in; undefined: nobody, or its token is good no more. */
  async who(request: FastifyRequest): Promise<AccessSelf | undefined> {
    const holder = this.holder(request);
    const self = holder && (await this.source().whoIs(holder));
    return self?.ok ? self.value : undefined;
  }

  /** Calls `leave` once the visitor may not read any more. The function returned ends the watch. */
  onLeave(request: FastifyRequest, leave: () => void): () => void {
    if (!this.mustSignIn) return () => {};
    const look = () => void this.mustRead(request).catch(leave);
    const timer = setInterval(look, LOOK_MS).unref();
    return () => clearInterval(timer);
  }

  /** The holder that signed in, if somebody did. */
  holder(request: FastifyRequest): HolderCaller | undefined {
    const tokenId = this.sessions.tokenOf(shownIn(request));
    return tokenId === undefined ? undefined : { kind: 'holder', tokenId };
  }
}

const SIGN_IN = 'Sign in with an access token.';

/** What the browser shows for its session. */
export function shownIn({ headers }: FastifyRequest): string | undefined {
  return SHOWN.exec(headers.cookie ?? '')?.[1];
}

export function cookieOf(shown: string): string {
  return `${COOKIE}=${shown}; ${ATTRIBUTES}; Max-Age=${SESSION_MS / 1000}`;
}

export const NO_COOKIE = `${COOKIE}=; ${ATTRIBUTES}; Max-Age=0`;
