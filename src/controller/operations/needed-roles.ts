import type { Role } from '../../contract/access.ts';

/**
 * The role that each operation of those who administer needs. The operation itself asks for it; the HTTP
 * side asks first, before it reads anything of what came with the request.
 */
export const NEEDED = {
  rotate: 'operate',
  releaseBrake: 'operate',
  showPolicy: 'view',
  setPolicy: 'admin',
  issueToken: 'operate',
  listTokens: 'view',
  withdrawToken: 'operate',
  removeNode: 'operate',
  resetSequences: 'operate',
  readEvents: 'view',
  issueAccess: 'admin',
  listAccess: 'admin',
  revokeAccess: 'admin',
  whoIsIt: 'view',
} as const satisfies Readonly<Record<string, Role>>;
