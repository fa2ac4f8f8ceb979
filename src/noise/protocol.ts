const ascii = new TextEncoder();

/** CONSTRUCTION of paper 5.4: the Noise protocol name. */
export const CONSTRUCTION = ascii.encode('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s');
/** IDENTIFIER of paper 5.4: the Noise prologue. */
export const IDENTIFIER = ascii.encode('WireGuard v1 zx2c4 Jason@zx2c4.com');
/** LABEL_MAC1 and LABEL_COOKIE of paper 5.4. */
export const LABEL_MAC1 = ascii.encode('mac1----');
export const LABEL_COOKIE = ascii.encode('cookie--');

/** No pre-shared key: 32 zero bytes are mixed (paper 5.2). */
export const ZERO_PSK: Uint8Array = new Uint8Array(32);

/** What a finished handshake yields: 32-byte keys, seen from one side. */
export interface TransportKeys {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
}
