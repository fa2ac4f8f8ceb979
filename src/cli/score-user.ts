import { accessSync, constants } from 'node:fs';
import { DEFAULT_SCORE_USERS, findUser, type ScoreUser } from '../agent/harness/score-user.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/**
 * Whom a node's score commands run as: what a harness runs is often a model's output. Null: whoever
 * the node is, of which `warn` is told where that is root.
 */
export function scoreUser(
  name: string | undefined,
  warn: (message: string) => void,
): ScoreUser | null {
  try {
    accessSync('/bin/sh', constants.X_OK);
  } catch {
    throw new CommandError(EXIT.unsupported, 'no_shell', '--score-command: needs /bin/sh');
  }
  const isRoot = process.geteuid?.() === 0;
  if (name === undefined) {
    if (!isRoot) return null;
    for (const one of DEFAULT_SCORE_USERS) {
      const user = findUser(one);
      if (user !== undefined) return user;
    }
    warn(
      `WARNING: the score command runs as root and can read this node's keys: there is no user ${DEFAULT_SCORE_USERS.join(' or ')}. Make one, or give --score-user`,
    );
    return null;
  }
  const user = findUser(name);
  if (user === undefined) {
    throw new CommandError(EXIT.usage, 'usage', `--score-user ${name}: no such user here`);
  }
  if (user.uid === process.geteuid?.()) {
    if (isRoot) warn("WARNING: the score command runs as root and can read this node's keys");
    return null;
  }
  if (!isRoot) {
    const message = `--score-user ${name}: only root can run a command as somebody else`;
    throw new CommandError(EXIT.unsupported, 'not_permitted', message);
  }
  return user;
}
