/** Why a handshake message was not acted on. Each has a counter; none changes any state. */
export const REJECTS = [
  'handshakeMalformed',
  'handshakeQueueOverflow',
  'handshakeWhileDown',
  'handshakeNoIdentity',
  /** From or to where datagrams must not be sent (wire/acceptable-endpoint). */
  'endpointUnacceptable',
  'mac1Invalid',
  'underLoadCookieSent',
  'rateLimited',
  'staticUndecryptable',
  'initiatorUnknown',
  'timestampUndecryptable',
  'timestampReplayed',
  'initiationFlood',
  'presharedKeyMissing',
  'keypairTableFull',
  'responseReceiverUnknown',
  'responseUnauthenticated',
  'cookieReplyReceiverUnknown',
  'cookieReplyInvalid',
] as const;
export type RejectReason = (typeof REJECTS)[number];

export type RejectCounters = Record<RejectReason, number>;

export const newRejectCounters = (): RejectCounters =>
  Object.fromEntries(REJECTS.map((reason) => [reason, 0])) as RejectCounters;
