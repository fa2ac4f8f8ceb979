/**
 * Limits on keypairs and times. All times in ms.
 *
 * The message limits need all 64 bits, and a JS number is exact to 2^53 only. The data path
 * compares u32 halves; since the reject limit is 2^64 - 2^13 - 1, "counter >= limit" is
 * "high is all ones and low >= REJECT_AFTER_MESSAGES_LOW".
 */

// ---- Constants of the WireGuard paper, section 6 ----

/** A sending keypair that has sealed this many messages asks for a new handshake: 2^60. */
export const REKEY_AFTER_MESSAGES = 2n ** 60n;
/** 2^60 is reached exactly when the high half reaches this. */
export const REKEY_AFTER_MESSAGES_HIGH = 0x10000000;
/** No message with this counter or a higher one is sent or accepted: 2^64 - 2^13 - 1. */
export const REJECT_AFTER_MESSAGES = 2n ** 64n - 2n ** 13n - 1n;
export const REJECT_AFTER_MESSAGES_HIGH = 0xffffffff;
export const REJECT_AFTER_MESSAGES_LOW = 0xffffdfff;

export const REKEY_AFTER_TIME = 120_000;
export const REJECT_AFTER_TIME = 180_000;
export const REKEY_ATTEMPT_TIME = 90_000;
export const REKEY_TIMEOUT = 5_000;
export const KEEPALIVE_TIMEOUT = 10_000;

// ---- Also on the wire of every implementation, but not in the paper ----

/** Upper bound of the random delay added to REKEY_TIMEOUT, so that two peers do not stay in step. */
export const REKEY_TIMEOUT_JITTER = 334;
/** Usable size of the replay window in messages: 8192 bits less one u64 word. */
export const REPLAY_WINDOW = 8128;

// ---- Our own tuning ----

/**
 * ms: nothing is sent on a keypair this long before it is rejected. The other end has its
 * own beginning of the 180 s, and what is still under way then would be lost.
 */
export const IN_FLIGHT = 1000;

/** Unanswered initiations kept per peer; beyond it the oldest is given up. */
export const MAX_PENDING_INITIATIONS = 3;
/** The most lanes (outbound workers) of a tunnel. */
export const MAX_LANES = 8;
/**
 * Several lanes take counters of one keypair by atomic additions to the low half, which cannot carry
 * into the high one. So with several lanes no packet is begun that would need a counter from this
 * one on. A lane looks at the counter first and takes one per segment of the packet afterwards, at
 * most 2^16; when all lanes do so at once, the counter ends below this limit + MAX_LANES * 2^16,
 * which is below 2^32: it never wraps. To get here in REJECT_AFTER_TIME takes 24 million packets/s.
 */
export const SHARED_REJECT_AFTER_MESSAGES = 2 ** 32 - 2 ** 20;
/** From this counter on a handshake is asked for. */
export const SHARED_REKEY_AFTER_MESSAGES = 2 ** 31;

/** Packets staged per peer while there is no usable keypair; beyond it the oldest goes. */
export const MAX_STAGED_PACKETS = 128;
/**
 * Bytes staged per peer (one super-packet of 64 KB counts as one packet above), so that a few peers
 * that do not answer cannot use up what all have together. 128 packets of a usual MTU fit.
 */
export const MAX_STAGED_BYTES_PER_PEER = 256 << 10;
/** Bytes staged over all peers of one data thread. */
export const MAX_STAGED_BYTES = 16 << 20;
