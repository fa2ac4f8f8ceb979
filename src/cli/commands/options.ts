import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { numberBetween } from '../numbers.ts';

/** Options that several commands share. */

const root = process.geteuid?.() === 0;
const stateRoot = root ? '/var/lib/meshnet' : join(homedir(), '.local', 'state', 'meshnet');
export const controllerState =
  process.env.MESHNET_CONTROLLER_STATE ?? join(stateRoot, 'controller');
export const nodeState = process.env.MESHNET_NODE_STATE ?? join(stateRoot, 'node');
export const seconds = numberBetween(0.1, 86_400);
export const share = numberBetween(0, 1);

export const json = () => new Option('--json', 'print JSON');

/** Options of every command that asks the controller. */
export function admin(command: Command): Command {
  return command
    .addOption(
      new Option('--socket <path>', "the controller's admin socket")
        .env('MESHNET_SOCKET')
        .default(join(controllerState, 'admin.sock')),
    )
    .addOption(json());
}

/** The same, for what can also be read over the network. */
export function reader(command: Command): Command {
  const url = new Option('--url <url>', 'ask over the network instead of the socket');
  return admin(command).addOption(url.env('MESHNET_CONTROLLER'));
}
