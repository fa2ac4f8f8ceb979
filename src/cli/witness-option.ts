import { InvalidArgumentError } from 'commander';
import type { Witness } from '../controller/record/witness-client.ts';
import { defaultProvider } from '../crypto/select.ts';
import { parseVerifierKey } from '../record/note.ts';
import { httpUrl } from './numbers.ts';

/** Values of `--witness`: a verifier key of cosignatures and a URL, with a space between. */
export function witnesses(text: string, before: readonly Witness[] = []): readonly Witness[] {
  const [keyText = '', url = '', ...more] = text.trim().split(/\s+/);
  const key = parseVerifierKey(defaultProvider(), keyText);
  if (key?.algorithm !== 'cosignature' || more.length > 0) {
    const expected =
      "Expected 'KEY URL', where KEY is the witness's verifier key (NAME+HASH+BASE64)";
    throw new InvalidArgumentError(`${expected} for cosignatures.`);
  }
  if (before.some((one) => one.key.name === key.name)) {
    throw new InvalidArgumentError(`${key.name} is named twice.`);
  }
  return [...before, { key, url: httpUrl(url) }];
}
