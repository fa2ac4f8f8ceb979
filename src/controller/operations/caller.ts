import type { ClaimSurroundings } from '../endpoint-claims.ts';
import type { NodeRecord } from '../store/store.ts';

/** Where a request came from, and where it was sent to. */
export type Arrival = Pick<ClaimSurroundings, 'from' | 'to'>;

/** A request over the network, as far as a signature (RFC 9421) covers it, and its headers. */
export interface NetworkRequest {
  readonly method: string;
  /** In lower case. */
  readonly authority: string;
  readonly path: string;
  /** With its question mark, also where there is nothing behind it. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly arrival: Arrival;
}

/** Who asks for what not everybody may have. */
export type Caller =
  /** Whoever could open the admin socket. */
  | { readonly kind: 'admin' }
  /** Whoever reaches the address that is for monitors. */
  | { readonly kind: 'monitor' }
  /** Whoever signed in with an access token: its holder, for as long as the token is good. */
  | HolderCaller
  | NetworkCaller;

export interface HolderCaller {
  readonly kind: 'holder';
  readonly tokenId: string;
}

/** What a caller showed over TLS: whose it is and until when (wall clock, ms), or what is wrong with it. */
export type ClientCertificate =
  | { readonly name: string; readonly until: number }
  | { readonly fault: string };

export interface NetworkCaller {
  readonly kind: 'network';
  /** On this machine, asking for itself. */
  readonly isLocal: boolean;
  /** Nobody on the way could read what it sent: it came over TLS, or from this machine. */
  readonly isPrivate: boolean;
  /** Where the controller asks for one. */
  readonly certificate?: ClientCertificate | undefined;
  readonly request: NetworkRequest;
}

/** A node that signed a request, and the nonce that it signed. */
export interface Signer {
  readonly node: NodeRecord;
  readonly nonce: string;
}
