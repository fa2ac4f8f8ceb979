import { randomBytes } from 'node:crypto';
import { ensureNodeKeys } from '../agent/node-keys.ts';
import { toBase64 } from '../contract/encoding.ts';
import { defaultProvider } from '../crypto/select.ts';
import { print } from './answer.ts';
import { table } from './table.ts';

/** `meshnet keygen`: makes whichever of a node's three keys are missing, shows the public ones. */
export function keygen(options: { readonly state: string; readonly json?: boolean }): void {
  const crypto = defaultProvider();
  const keys = ensureNodeKeys(options.state, (length) => new Uint8Array(randomBytes(length)));
  const shown = {
    state: options.state,
    wireguard: toBase64(crypto.x25519Public(keys.wireguard)),
    signing: toBase64(crypto.ed25519Public(keys.signing)),
    sealing: toBase64(crypto.x25519Public(keys.sealing)),
  };
  const text = table([
    ['state', shown.state],
    ['wireguard', shown.wireguard],
    ['signing', shown.signing],
    ['sealing', shown.sealing],
  ]);
  print(options, shown, text);
}
