import { SettingsError } from '../settings-error.ts';

/** Throws a `SettingsError` about `field` unless `value` is a number within the bounds, inclusive. */
export function number(field: string, value: number, min: number, max: number): void {
  if (!Number.isFinite(value) || value < min || value > max) {
    throw new SettingsError(field, `a number from ${min} to ${max}`);
  }
}

/** The same for an integer. */
export function integer(field: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new SettingsError(field, `an integer from ${min} to ${max}`);
  }
}
