/** A setting that cannot be: names the field and what was expected. */
export class SettingsError extends Error {
  readonly field: string;
  readonly expected: string;

  constructor(field: string, expected: string) {
    super(`${field}: expected ${expected}`);
    this.name = 'SettingsError';
    this.field = field;
    this.expected = expected;
  }
}
