import { constants } from 'node:os';

/**
 * Values of the cross-platform configuration protocol (https://www.wireguard.com/xplatform/), for
 * both of its ends. A request is an operation line, `key=value` lines and an empty line; so is an
 * answer, which ends with `errno=N`. Error messages name the key, never a value: values may be keys.
 */

/** A text that is none of the protocol. `errno` is negative, as an answer has it. */
export class UapiError extends Error {
  readonly errno: number;

  constructor(code: 'EINVAL' | 'EPROTO', message: string) {
    super(message);
    this.name = 'UapiError';
    this.errno = -constants.errno[code];
  }
}

/** Key and value of a line. A line without '=' is EPROTO. */
export function splitLine(line: string): [key: string, value: string] {
  const equals = line.indexOf('=');
  if (equals === -1) throw new UapiError('EPROTO', 'a line without "="');
  return [line.slice(0, equals), line.slice(equals + 1)];
}

/** Undefined: there is no such line. */
export function writeLine(lines: string[], key: string, text: string | undefined): void {
  if (text !== undefined) lines.push(`${key}=${text}`);
}

export function required<T>(key: string, value: T | undefined): T {
  if (value === undefined) throw new UapiError('EINVAL', `${key} is malformed`);
  return value;
}

/** 32 bytes in hexadecimal. */
export function parseKey(key: string, value: string): Uint8Array {
  if (!/^[0-9a-fA-F]{64}$/.test(value)) {
    throw new UapiError('EINVAL', `${key} is not 64 hexadecimal digits`);
  }
  return Uint8Array.fromHex(value);
}

export function parseUnsigned(key: string, value: string, maximum: number): number {
  const number = /^[0-9]{1,20}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number <= maximum)) {
    throw new UapiError('EINVAL', `${key} is not an integer from 0 to ${maximum}`);
  }
  return number;
}

export function requireTrue(key: string, value: string): void {
  if (value !== 'true') throw new UapiError('EINVAL', `${key} can only be "true"`);
}
