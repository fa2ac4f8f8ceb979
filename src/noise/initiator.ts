import { zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider, X25519PrivateKey } from '../crypto/provider.ts';
import { CONSTRUCTION, IDENTIFIER, type TransportKeys } from './protocol.ts';
import { SymmetricState } from './symmetric-state.ts';

export interface InitiatorOptions {
  readonly crypto: CryptoProvider;
  readonly localStatic: X25519PrivateKey;
  readonly remoteStatic: Uint8Array;
  /** DH(local static, remote static), which does not change from handshake to handshake. */
  readonly staticStatic: Uint8Array;
  readonly ephemeral: X25519PrivateKey;
  readonly prologue?: Uint8Array;
}

/** Noise_IKpsk2, initiator's side: `-> e, es, s, ss` and `<- e, ee, se, psk`. */
export class Initiator {
  private readonly options: InitiatorOptions;
  private readonly state: SymmetricState;

  constructor(options: InitiatorOptions) {
    this.options = options;
    this.state = new SymmetricState(options.crypto, CONSTRUCTION, options.prologue ?? IDENTIFIER);
    this.state.mixHash(options.remoteStatic);
  }

  /** First message (paper 5.4.2). Undefined if the remote static key is a small-order point. */
  writeMessage(
    payload: Uint8Array,
  ): { ephemeral: Uint8Array; encryptedStatic: Uint8Array; payload: Uint8Array } | undefined {
    const { ephemeral, localStatic, remoteStatic, staticStatic } = this.options;
    const ephemeralStatic = ephemeral.agree(remoteStatic);
    if (ephemeralStatic === undefined) return undefined;
    this.state.mixHash(ephemeral.publicKey);
    this.state.mixKey(ephemeral.publicKey); // e: mixed into the key too, as in all psk handshakes
    this.state.mixKey(ephemeralStatic); // es
    const encryptedStatic = this.state.encryptAndHash(localStatic.publicKey); // s
    this.state.mixKey(staticStatic); // ss
    zeroize(ephemeralStatic);
    return {
      ephemeral: ephemeral.publicKey,
      encryptedStatic,
      payload: this.state.encryptAndHash(payload),
    };
  }

  /**
   * Second message (paper 5.4.3). Undefined if it does not authenticate; the initiator is then
   * as before and still waits for the true response.
   */
  readMessage(
    remoteEphemeral: Uint8Array,
    encryptedPayload: Uint8Array,
    presharedKey: Uint8Array,
  ): { payload: Uint8Array; keys: TransportKeys } | undefined {
    const { ephemeral, localStatic } = this.options;
    const ephemeralEphemeral = ephemeral.agree(remoteEphemeral);
    const staticEphemeral = localStatic.agree(remoteEphemeral);
    if (ephemeralEphemeral === undefined || staticEphemeral === undefined) return undefined;
    const state = this.state.clone();
    state.mixHash(remoteEphemeral);
    state.mixKey(remoteEphemeral); // e
    state.mixKey(ephemeralEphemeral); // ee
    state.mixKey(staticEphemeral); // se
    state.mixKeyAndHash(presharedKey); // psk
    const payload = state.decryptAndHash(encryptedPayload);
    zeroize(ephemeralEphemeral, staticEphemeral);
    if (payload === undefined) {
      state.zeroize();
      return undefined;
    }
    const [sendKey, receiveKey] = state.split();
    state.zeroize();
    return { payload, keys: { sendKey, receiveKey } };
  }

  zeroize(): void {
    this.state.zeroize();
    this.options.ephemeral.zeroize();
  }
}
