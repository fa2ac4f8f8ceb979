import { X509Certificate } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import type { AgentClock } from '../agent/clock.ts';
import { accessNameField, isAccessName, ROLES, type Role } from '../contract/access.ts';
import type { ClientCertificates } from '../controller/controller.ts';
import { CommandError, EXIT } from './exit-codes.ts';

/** How often the file of roles is looked at, ms. */
const INTERVAL = 5000;
/** Others may write it. */
const WRITABLE = 0o022;

/**
 * Who may administer by a client certificate: one of the authority in one file, with the role that another
 * file gives to its common name: `{"desk": "operate"}`. That file is read again when it changes. While
 * there is something wrong with it, no certificate has a role.
 */
export class ClientRoles implements ClientCertificates {
  readonly authority: string;
  private readonly path: string;
  private roles: ReadonlyMap<string, Role>;

  /** Reads both. Throws a `CommandError` that names the option and what is wrong. */
  constructor(authorityPath: string, rolesPath: string) {
    this.authority = readAuthority(authorityPath);
    this.path = rolesPath;
    this.roles = readRoles(rolesPath);
  }

  readonly roleOf = (name: string): Role | undefined => this.roles.get(name);

  /** Reads the roles again and again, and calls `warn` once for each fault, until `signal` aborts. */
  async follow(
    warn: (message: string) => void,
    clock: Pick<AgentClock, 'sleep'>,
    signal: AbortSignal,
  ): Promise<void> {
    let said: string | undefined;
    while (!signal.aborted) {
      await clock.sleep(INTERVAL, signal);
      try {
        this.roles = readRoles(this.path);
        said = undefined;
      } catch (error) {
        this.roles = new Map();
        const { message } = error as Error;
        if (message !== said)
          warn(`${message}; no client certificate has a role until it is mended`);
        said = message;
      }
    }
  }
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function readAuthority(path: string): string {
  const text = read('--client-ca', path);
  const certificates = text.match(PEM) ?? [];
  try {
    if (certificates.length === 0) throw new Error('none');
    for (const one of certificates) new X509Certificate(one);
  } catch {
    throw usage(`--client-ca ${path}: not certificates in PEM`);
  }
  return text;
}

function readRoles(path: string): ReadonlyMap<string, Role> {
  const text = read('--client-roles', path, true);
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    // said below
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw usage(`--client-roles ${path}: expected JSON such as {"desk": "operate"}`);
  }
  for (const [name, role] of Object.entries(given)) {
    if (!isAccessName(name)) {
      throw usage(
        `--client-roles ${path}: ${JSON.stringify(name)}: expected ${accessNameField.description}`,
      );
    }
    if (!ROLES.includes(role as Role)) {
      throw usage(`--client-roles ${path}: ${name}: expected one of ${ROLES.join(', ')}`);
    }
  }
  return new Map(Object.entries(given as Record<string, Role>));
}

function read(option: string, path: string, isOurs = false): string {
  try {
    const fd = openSync(path, 'r');
    try {
      if (isOurs && (fstatSync(fd).mode & WRITABLE) !== 0) {
        throw usage(`${option} ${path}: others may write it, run: chmod go-w ${path}`);
      }
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw usage(`${option} ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
}

const usage = (message: string) => new CommandError(EXIT.usage, 'usage', message);
