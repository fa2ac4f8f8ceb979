/** Stable error codes of the library. */
export type TunnelErrorCode =
  | 'invalid_argument'
  | 'not_permitted'
  | 'not_supported'
  | 'address_in_use'
  | 'name_in_use'
  | 'psk_required'
  | 'limit_exceeded'
  | 'closed'
  | 'system_call_failed';

/** Thrown at the control interface, never per packet. The message names what was wrong. */
export class TunnelError extends Error {
  readonly code: TunnelErrorCode;

  constructor(code: TunnelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TunnelError';
    this.code = code;
  }
}
