import { toBase64 } from '../contract/encoding.ts';
import { type SignedReceipt, signReceipt } from '../contract/receipt.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';

export interface ReceiptsOptions {
  readonly crypto: CryptoProvider;
  readonly clock: ControllerClock;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
}

/** Signs what signed requests are answered with; nobody else's requests are worth a signature. */
export class Receipts {
  private readonly options: ReceiptsOptions;

  constructor(options: ReceiptsOptions) {
    this.options = options;
  }

  /** `request`: hash of what is answered. `code`: `accepted` or a problem code. */
  sign(request: Uint8Array, code: string, last: number | null = null): SignedReceipt {
    const { crypto, clock, meshId, signingSeed } = this.options;
    return signReceipt(crypto, signingSeed, {
      mesh_id: toBase64(meshId),
      request: toBase64(request),
      code,
      last,
      server_time: clock.now(),
    });
  }
}
