import type { CryptoProvider } from '../crypto/provider.ts';
import { fromBase64, toBase64 } from './encoding.ts';
import { signingKeyId } from './ids.ts';
import { accepted, type Checked, rejected } from './problems.ts';

/**
 * HTTP message signatures (RFC 9421) with Ed25519 over the parts of a request that decide what it
 * does. One signature per request, labelled `sig1`; the covered components are fixed, so there is
 * nothing to negotiate down.
 */
export interface RequestParts {
  /** Upper case. */
  readonly method: string;
  /** Host and port as in the Host header, lower case; the port only if it is not the default. */
  readonly authority: string;
  /** Path as sent, e.g. `/v1/config/node-a`. */
  readonly path: string;
  /** Query as sent, with its `?`; `?` if there is none (RFC 9421 section 2.2.7). */
  readonly query: string;
  /** Body bytes; a request with a body also signs its content-digest (RFC 9530). */
  readonly body?: Uint8Array | undefined;
}

/** What a signature is for: a signature for one purpose is worth nothing for another. */
export const SIGNATURE_TAGS = {
  config: 'aligned-meshnet-config',
  stream: 'aligned-meshnet-stream',
  epoch: 'aligned-meshnet-epoch',
  endpoint: 'aligned-meshnet-endpoint',
  header: 'aligned-meshnet-header',
  lease: 'aligned-meshnet-lease',
  keys: 'aligned-meshnet-keys',
  leave: 'aligned-meshnet-leave',
} as const;

export type SignatureTag = (typeof SIGNATURE_TAGS)[keyof typeof SIGNATURE_TAGS];

export interface SignatureParameters {
  /** Seconds since 1970 (RFC 9421 has whole seconds here). */
  readonly created: number;
  /** 16 bytes in base64url. */
  readonly nonce: string;
  readonly keyid: string;
  readonly tag: string;
}

const COMPONENTS = '"@method" "@authority" "@path" "@query"';
const COMPONENTS_WITH_BODY = `${COMPONENTS} "content-digest"`;

// Our own serialisation and nothing else: parameters in this order, every one of them present.
const SIGNATURE_INPUT =
  /^sig1=(\(("@method" "@authority" "@path" "@query"(?: "content-digest")?)\);created=(\d{1,12});nonce="([A-Za-z0-9_-]{22})";keyid="([A-Za-z0-9_-]{1,64})";alg="ed25519";tag="([a-z0-9-]{1,64})")$/;
const SIGNATURE = /^sig1=:([A-Za-z0-9+/]{86}==):$/;

const encoder = new TextEncoder();

/** `Content-Digest` of a body (RFC 9530). */
export function contentDigest(crypto: CryptoProvider, body: Uint8Array): string {
  return `sha-256=:${toBase64(crypto.sha256(body))}:`;
}

/** Headers that sign the request: `signature-input`, `signature`, and `content-digest` if any. */
export function signRequest(
  crypto: CryptoProvider,
  signingSeed: Uint8Array,
  request: RequestParts,
  parameters: { readonly created: number; readonly nonce: string; readonly tag: SignatureTag },
): Record<string, string> {
  const keyid = signingKeyId(crypto, crypto.ed25519Public(signingSeed));
  const digest = request.body && contentDigest(crypto, request.body);
  const { created, nonce, tag } = parameters;
  const components = digest === undefined ? COMPONENTS : COMPONENTS_WITH_BODY;
  const input = `(${components});created=${created};nonce="${nonce}";keyid="${keyid}";alg="ed25519";tag="${tag}"`;
  const signature = crypto.ed25519Sign(signingSeed, signatureBase(request, digest, input));
  return {
    'signature-input': `sig1=${input}`,
    signature: `sig1=:${toBase64(signature)}:`,
    ...(digest === undefined ? {} : { 'content-digest': digest }),
  };
}

/** A request signature that has been read but not verified. */
export interface ReadSignature {
  readonly parameters: SignatureParameters;
  readonly signature: Uint8Array;
  /** The signature parameters exactly as sent. */
  readonly input: string;
  readonly digest: string | undefined;
}

/** Reads the signature headers; `keyid` in it is a hint at whose key to verify with. */
export function readSignature(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Checked<ReadSignature> {
  const inputHeader = headers['signature-input'];
  const signatureHeader = headers.signature;
  const digest = headers['content-digest'];
  if (inputHeader === undefined && signatureHeader === undefined) {
    return rejected('signature_missing', { expected: 'a request signed as RFC 9421 says' });
  }
  if (typeof inputHeader !== 'string' || typeof signatureHeader !== 'string') {
    return rejected('signature_malformed', { expected: 'one signature-input and one signature' });
  }
  const input = SIGNATURE_INPUT.exec(inputHeader);
  if (!input) {
    const expected = `sig1=(${COMPONENTS});created;nonce;keyid;alg="ed25519";tag`;
    return rejected('signature_malformed', { field: 'signature-input', expected });
  }
  const signature = fromBase64(SIGNATURE.exec(signatureHeader)?.[1] ?? '', 64);
  if (!signature) {
    return rejected('signature_malformed', { field: 'signature', expected: 'sig1=:base64:' });
  }
  if (digest !== undefined && typeof digest !== 'string') {
    return rejected('signature_malformed', { field: 'content-digest', expected: 'one value' });
  }
  return accepted({
    parameters: {
      created: Number(input[3]),
      nonce: input[4]!,
      keyid: input[5]!,
      tag: input[6]!,
    },
    signature,
    input: input[1]!,
    digest: input[2] === COMPONENTS_WITH_BODY ? (digest ?? '') : undefined,
  });
}

/**
 * True if `publicKey` signed this request for the purpose `tag`. A request with a body must have
 * signed the digest of exactly this body. Age and nonce are the caller's to check, after this.
 */
export function signatureIsValid(
  crypto: CryptoProvider,
  publicKey: Uint8Array,
  request: RequestParts,
  read: ReadSignature,
  tag: SignatureTag,
): boolean {
  if (read.parameters.tag !== tag) return false;
  const digest = request.body && contentDigest(crypto, request.body);
  if (digest !== read.digest) return false;
  return crypto.ed25519Verify(
    publicKey,
    signatureBase(request, digest, read.input),
    read.signature,
  );
}

/** RFC 9421 section 2.5. */
function signatureBase(
  request: RequestParts,
  digest: string | undefined,
  input: string,
): Uint8Array {
  const lines = [
    `"@method": ${request.method}`,
    `"@authority": ${request.authority}`,
    `"@path": ${request.path}`,
    `"@query": ${request.query}`,
  ];
  if (digest !== undefined) lines.push(`"content-digest": ${digest}`);
  lines.push(`"@signature-params": ${input}`);
  return encoder.encode(lines.join('\n'));
}

/** `path` and `query` as signed, of a request target such as `/v1/config/a?x=1`. */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: '?' };
  return { path: target.slice(0, mark), query: target.slice(mark) };
}
