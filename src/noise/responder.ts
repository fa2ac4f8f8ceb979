import { copyBytes, zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider, X25519PrivateKey } from '../crypto/provider.ts';
import { CONSTRUCTION, IDENTIFIER, type TransportKeys } from './protocol.ts';
import { SymmetricState } from './symmetric-state.ts';

export interface ResponderOptions {
  readonly crypto: CryptoProvider;
  readonly localStatic: X25519PrivateKey;
  readonly prologue?: Uint8Array;
}

/**
 * Noise_IKpsk2, responder's side, in the three steps between which WireGuard decides: who is it
 * (`readStatic`), is it fresh (`readPayload`), answer (`writeMessage`). One instance serves one
 * incoming message and is thrown away if a step fails, so a bad message changes nothing.
 */
export class Responder {
  private readonly options: ResponderOptions;
  private readonly state: SymmetricState;
  private remoteEphemeral: Uint8Array = new Uint8Array(0);
  private remoteStatic: Uint8Array = new Uint8Array(0);

  constructor(options: ResponderOptions) {
    this.options = options;
    this.state = new SymmetricState(options.crypto, CONSTRUCTION, options.prologue ?? IDENTIFIER);
    this.state.mixHash(options.localStatic.publicKey);
  }

  /** The initiator's static public key, or undefined if it does not authenticate. */
  readStatic(ephemeral: Uint8Array, encryptedStatic: Uint8Array): Uint8Array | undefined {
    this.remoteEphemeral = copyBytes(ephemeral);
    const staticEphemeral = this.options.localStatic.agree(ephemeral);
    if (staticEphemeral === undefined) return undefined;
    this.state.mixHash(ephemeral);
    this.state.mixKey(ephemeral); // e
    this.state.mixKey(staticEphemeral); // es
    zeroize(staticEphemeral);
    const remoteStatic = this.state.decryptAndHash(encryptedStatic); // s
    if (remoteStatic !== undefined) this.remoteStatic = copyBytes(remoteStatic);
    return remoteStatic;
  }

  /** The first message's payload; `staticStatic` is DH(local static, remote static). */
  readPayload(encryptedPayload: Uint8Array, staticStatic: Uint8Array): Uint8Array | undefined {
    this.state.mixKey(staticStatic); // ss
    return this.state.decryptAndHash(encryptedPayload);
  }

  /** Second message (paper 5.4.3). Undefined if a remote key is a small-order point. */
  writeMessage(
    ephemeral: X25519PrivateKey,
    payload: Uint8Array,
    presharedKey: Uint8Array,
  ): { ephemeral: Uint8Array; payload: Uint8Array; keys: TransportKeys } | undefined {
    const ephemeralEphemeral = ephemeral.agree(this.remoteEphemeral);
    const ephemeralStatic = ephemeral.agree(this.remoteStatic);
    if (ephemeralEphemeral === undefined || ephemeralStatic === undefined) return undefined;
    this.state.mixHash(ephemeral.publicKey);
    this.state.mixKey(ephemeral.publicKey); // e
    this.state.mixKey(ephemeralEphemeral); // ee
    this.state.mixKey(ephemeralStatic); // se
    this.state.mixKeyAndHash(presharedKey); // psk
    const encryptedPayload = this.state.encryptAndHash(payload);
    const [receiveKey, sendKey] = this.state.split();
    this.state.zeroize();
    zeroize(ephemeralEphemeral, ephemeralStatic);
    return {
      ephemeral: ephemeral.publicKey,
      payload: encryptedPayload,
      keys: { sendKey, receiveKey },
    };
  }
}
