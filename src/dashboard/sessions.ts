import { createHash } from 'node:crypto';
import type { RandomBytes } from '../crypto/provider.ts';

/** A browser is signed in for a working day, ms; less if its token ends before. */
export const SESSION_MS = 12 * 3_600_000;
/** In all, and with one token: the one that was begun first makes room. */
const MAX_SESSIONS = 256;
const MAX_PER_TOKEN = 8;

interface Session {
  readonly tokenId: string;
  readonly until: number;
}

export interface SessionsOptions {
  readonly random: RandomBytes;
  /** A clock in ms that nobody sets. */
  readonly monotonic: () => number;
}

/**
 * Who signed in, in memory alone: a restart ends all sessions. Neither the access tokens nor what browsers
 * show instead of them are kept; whether a token is still good is asked at each call.
 */
export class Sessions {
  private readonly options: SessionsOptions;
  /** By the hash of what the browser shows, the first begun first. */
  private readonly open = new Map<string, Session>();

  constructor(options: SessionsOptions) {
    this.options = options;
  }

  /** Begins one; gives what its browser is to show. */
  begin(tokenId: string): string {
    const { random, monotonic } = this.options;
    const shown = Buffer.from(random(32)).toString('base64url');
    const ofToken = [...this.open].filter(([, one]) => one.tokenId === tokenId);
    if (ofToken.length >= MAX_PER_TOKEN) this.open.delete(ofToken[0]![0]);
    if (this.open.size >= MAX_SESSIONS) this.open.delete(this.open.keys().next().value!);
    this.open.set(hashOf(shown), { tokenId, until: monotonic() + SESSION_MS });
    return shown;
  }

  /** The token that it was begun with; undefined: there is no such session, or it is over. */
  tokenOf(shown: string | undefined): string | undefined {
    if (shown === undefined) return undefined;
    const session = this.open.get(hashOf(shown));
    if (session === undefined) return undefined;
    if (session.until > this.options.monotonic()) return session.tokenId;
    this.open.delete(hashOf(shown));
    return undefined;
  }

  end(shown: string): void {
    this.open.delete(hashOf(shown));
  }
}

function hashOf(shown: string): string {
  return createHash('sha256').update(shown).digest('base64');
}
