import { X509Certificate } from 'node:crypto';
import type { AgentClock } from '../agent/clock.ts';
import { accessNameField, isAccessName, ROLES, type Role } from '../contract/access.ts';
import type { ClientCertificates, ClientTrust } from '../controller/controller.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { followFiles } from './follow-files.ts';
import { FileFault, readPlainFile } from './plain-file.ts';
import { parseRevocationLists, type RevocationLists } from './revocation-lists.ts';

/** Others may write it. */
const WRITABLE = 0o022;

/** Paths of what decides which client certificates are good for what. */
export interface ClientCertificateFiles {
  /** Authorities, PEM. */
  readonly authority: string;
  /** Roles by common name: `{"desk": "operate"}`. */
  readonly roles: string;
  /** Lists of what each authority has revoked, PEM. */
  readonly revoked?: string | undefined;
}

/**
 * Who may administer by a client certificate: one of the authority in one file, not on the list in another,
 * with the role that a third gives to its common name. They are read again when they change. While there is
 * something wrong with any, or the list is too old, no certificate has a role.
 */
export class ClientRoles implements ClientCertificates {
  private readonly files: ClientCertificateFiles;
  private present: ClientTrust;
  private roles: ReadonlyMap<string, Role>;
  private isClosed = false;

  /** Reads them. Throws a `CommandError` that names the option and what is wrong; a list may be too old. */
  constructor(files: ClientCertificateFiles) {
    this.files = files;
    const { trust, roles } = this.read();
    this.present = trust;
    this.roles = roles;
  }

  get trust(): ClientTrust {
    return this.present;
  }

  readonly roleOf = (name: string): Role | undefined =>
    this.isClosed ? undefined : this.roles.get(name);

  /**
   * Reads the files again and again, calls `apply` when certificates are to be verified otherwise, and `warn`
   * once for each fault, until `signal` aborts.
   */
  follow(
    apply: () => void,
    warn: (message: string) => void,
    clock: Pick<AgentClock, 'sleep' | 'wall'>,
    signal: AbortSignal,
  ): Promise<void> {
    const look = () => {
      try {
        this.look(clock.wall(), apply);
      } catch (error) {
        this.isClosed = true;
        throw error;
      }
    };
    const closed = 'no client certificate has a role until it is mended';
    return followFiles(look, (message) => warn(`${message}; ${closed}`), clock, signal);
  }

  private look(now: number, apply: () => void): void {
    const { trust, roles, revoked } = this.read();
    const isOther = trust.ca !== this.present.ca || trust.crl?.join() !== this.present.crl?.join();
    this.roles = roles;
    this.present = trust;
    if (isOther) apply();
    if (revoked !== undefined) mustBeCurrent(`--client-crl ${this.files.revoked}`, revoked, now);
    this.isClosed = false;
  }

  private read() {
    const { authority, roles, revoked: lists } = this.files;
    const revoked = lists === undefined ? undefined : readRevoked(lists);
    const trust: ClientTrust = {
      ca: readAuthority(authority),
      ...(revoked === undefined ? {} : { crl: revoked.lists }),
    };
    return { trust, roles: readRoles(roles), revoked };
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

function readRevoked(path: string): RevocationLists {
  const text = read('--client-crl', path);
  try {
    return parseRevocationLists(text);
  } catch {
    throw usage(
      `--client-crl ${path}: not revocation lists in PEM, each with the time of the next update`,
    );
  }
}

function mustBeCurrent(which: string, { from, until }: RevocationLists, now: number): void {
  const at = (time: number) => new Date(time).toISOString();
  if (until <= now) throw usage(`${which}: a newer list was due at ${at(until)}`);
  if (from > now)
    throw usage(`${which}: a list of the future, from ${at(from)}: is the clock right?`);
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
    return readPlainFile(path, ({ mode }) => {
      if (!isOurs || (mode & WRITABLE) === 0) return;
      throw new FileFault(`others may write it, run: chmod go-w ${path}`);
    });
  } catch (error) {
    throw usage(`${option} ${path}: ${(error as Error).message}`);
  }
}

const usage = (message: string) => new CommandError(EXIT.usage, 'usage', message);
