import { InvalidArgumentError } from 'commander';
import { NAMES_PATTERN } from '../contract/admin.ts';

/** Parsers for option values; commander prints what they throw together with the option's name. */

export function numberBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`);
    }
    return value;
  };
}

export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`Expected an integer from ${min} to ${max}.`);
    }
    return value;
  };
}

const UNITS: Record<string, number> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

/** `90`, `90s`, `10m`, `2h`, `1d`: seconds. */
export function durationSeconds(text: string): number {
  const match = /^(\d+)\s*(s|m|min|h|d)?$/.exec(text);
  if (!match) throw new InvalidArgumentError('Expected a duration such as 90s, 10m, 2h or 1d.');
  return Number(match[1]) * UNITS[match[2] ?? 's']!;
}

/** How many may use a token; `any`: as many as come. */
export function usesOf(text: string): number | 'any' {
  return text === 'any' ? text : integerBetween(1, 100_000)(text);
}

/** Names of nodes with `*` for any part. */
export function namePattern(text: string): string {
  if (new RegExp(NAMES_PATTERN).test(text)) return text;
  throw new InvalidArgumentError('Expected 1 to 63 of a-z, 0-9, hyphen and *, such as web-*.');
}

/** A host name with a dot in it, as a certificate can be for, one more than before. */
export function hostNames(text: string, before: readonly string[] = []): string[] {
  if (
    !/^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$/.test(
      text,
    )
  ) {
    throw new InvalidArgumentError('Expected a host name in lower case, such as mesh.example.');
  }
  return [...before, text];
}

/** `NAMESPACE/NAME` of a service account of Kubernetes, one more than before. */
export function serviceAccounts(text: string, before: readonly string[] = []): string[] {
  if (!/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/.test(text)) {
    throw new InvalidArgumentError('Expected NAMESPACE/NAME of a service account.');
  }
  return [...before, text];
}

/** The URL of a controller, as it was written. */
export function httpUrl(text: string): string {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError('Expected a URL such as https://192.0.2.1:8440.');
  }
  return text;
}

/** `127.0.0.1:9586` or `:9586` (loopback). */
export function hostAndPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new InvalidArgumentError('Expected an address such as 127.0.0.1:9586.');
  }
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port };
}

/** An address, `127.0.0.1:8441`, or an absolute path: a Unix socket. */
export function dashboardAddress(text: string): { host: string; port: number } | { path: string } {
  if (text.startsWith('/')) return { path: text };
  return hostAndPort(text);
}
