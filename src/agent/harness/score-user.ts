import { readFileSync } from 'node:fs';

/** Whom score commands run as. */
export interface ScoreUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** In this order, where `--score-user` is not given and the node is root. */
export const DEFAULT_SCORE_USERS = ['meshnet-score', 'nobody'] as const;

/** A user of `/etc/passwd` by its name; undefined if there is none. */
export function findUser(name: string, passwd = readPasswd()): ScoreUser | undefined {
  for (const line of passwd.split('\n')) {
    const [user, , uid, gid, , home] = line.split(':');
    if (user !== name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) continue;
    return { name, uid: Number(uid), gid: Number(gid), home: home || '/' };
  }
  return undefined;
}

function readPasswd(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8');
  } catch {
    return ''; // a system without one has no users to become
  }
}
