import { printable, printableJson } from '../contract/printable.ts';
import type { AdminTarget } from './admin-client.ts';

/** Options of every command that asks the controller. */
export interface AdminOptions extends AdminTarget {
  readonly json?: boolean;
}

/** Prints what a command found out: for people, or as JSON. */
export function print(options: { readonly json?: boolean }, value: unknown, text: string): void {
  process.stdout.write(
    `${options.json ? printableJson(JSON.stringify(value)) : printable(text)}\n`,
  );
}
