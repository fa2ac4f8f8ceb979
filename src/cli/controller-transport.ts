import { isIP } from 'node:net';
import { join } from 'node:path';
import type { AgentClock } from '../agent/clock.ts';
import type { ControllerOptions } from '../controller/controller.ts';
import type { ServerCertificate } from '../controller/own-certificate.ts';
import { AcmeCertificates } from './acme/acme-certificates.ts';
import { ChallengeAnswers } from './acme/challenge-answers.ts';
import { newAccountKey, orderCertificate } from './acme/order.ts';
import { ClientRoles } from './client-certificates.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { TlsFileError, TlsFiles } from './tls-files.ts';

/** Options of `meshnet controller` about how it is spoken to. */
export interface TransportOptions {
  /** The controller's own directory. */
  readonly state: string;
  readonly listen: { readonly host: string };
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly clientCa?: string;
  readonly clientRoles?: string;
  readonly clientCrl?: string;
  readonly insecureHttp?: boolean;
  readonly behindProxy?: string;
  readonly acme?: readonly string[];
  readonly acmeAcceptTerms?: boolean;
  readonly acmeEmail?: string;
  readonly acmeDirectory: string;
  readonly acmeHttp: { readonly host: string; readonly port: number };
}

/** Where certificates come from while the controller runs. */
export interface CertificateSource {
  /** Calls `apply` with each new certificate and `warn` with each fault, until `signal` aborts. */
  follow(
    apply: (certificate: ServerCertificate) => void,
    warn: (message: string) => void,
    clock: Pick<AgentClock, 'sleep' | 'wall'>,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface Transport extends Pick<ControllerOptions, 'tls' | 'proxy'> {
  /** What follows the certificate that it starts with, if any does. */
  readonly source?: CertificateSource;
  /** Who may administer by a client certificate. */
  readonly clients?: ClientRoles;
}

/**
 * TLS with the certificate that was given, or else with the mesh's own. Plain HTTP only where it was
 * asked for, stays on this machine, or comes from a proxy that is named.
 */
export function transportOf(options: TransportOptions): Transport {
  const clients = clientsOf(options);
  const transport = serverOf(options);
  return clients === undefined ? transport : { tls: 'own', ...transport, clients };
}

/** Needs TLS: where nothing else is asked for there is, then, on this machine, too. */
function clientsOf(options: TransportOptions): ClientRoles | undefined {
  const { clientCa, clientRoles, clientCrl, insecureHttp = false, behindProxy } = options;
  if (clientCa === undefined && clientRoles === undefined && clientCrl === undefined) return;
  if (clientCa === undefined || clientRoles === undefined) {
    const others = clientCrl === undefined ? '' : ', also for --client-crl';
    throw usage(`--client-ca and --client-roles belong together: give both${others}`);
  }
  if (insecureHttp || behindProxy !== undefined) {
    throw usage('--client-ca needs TLS: not with --insecure-http, nor with --behind-proxy');
  }
  return new ClientRoles({ authority: clientCa, roles: clientRoles, revoked: clientCrl });
}

function serverOf(options: TransportOptions): Transport {
  const { listen, tlsCert, tlsKey, insecureHttp = false, behindProxy, acme } = options;
  const hasFiles = tlsCert !== undefined || tlsKey !== undefined;
  if (hasFiles && (tlsCert === undefined || tlsKey === undefined)) {
    throw usage('--tls-cert and --tls-key belong together: give both');
  }
  const ways = [hasFiles, insecureHttp, behindProxy !== undefined, acme !== undefined];
  if (ways.filter(Boolean).length > 1) {
    throw usage('--tls-cert, --acme, --insecure-http and --behind-proxy exclude each other');
  }
  if (behindProxy !== undefined) {
    if (isIP(behindProxy) === 0) {
      throw usage(
        `--behind-proxy ${behindProxy}: expected the IP address that the proxy calls from`,
      );
    }
    return { proxy: behindProxy };
  }
  if (insecureHttp) return {};
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const files = opened(tlsCert, tlsKey);
    return { tls: files.certificate, source: files };
  }
  if (acme !== undefined) {
    if (options.acmeAcceptTerms !== true) {
      throw usage(
        `--acme: --acme-accept-terms is missing: the terms are those of ${options.acmeDirectory}`,
      );
    }
    const source = acmeSource(acme, options);
    return { tls: source.present(Date.now()) ?? 'own', source };
  }
  return isLoopback(listen.host) ? {} : { tls: 'own' };
}

/** Until the first certificate is there, the mesh's own is shown: nodes know it. */
function acmeSource(
  names: readonly string[],
  { state, acmeEmail, acmeDirectory, acmeHttp }: TransportOptions,
): AcmeCertificates {
  const answers = new ChallengeAnswers(acmeHttp);
  return new AcmeCertificates({
    directory: acmeDirectory,
    names,
    ...(acmeEmail === undefined ? {} : { email: acmeEmail }),
    place: join(state, 'acme'),
    newAccountKey,
    order: (order) => orderCertificate(order, answers).finally(() => answers.close()),
    random: Math.random,
  });
}

function opened(cert: string, key: string): TlsFiles {
  try {
    return new TlsFiles(cert, key);
  } catch (error) {
    if (!(error instanceof TlsFileError)) throw error;
    throw usage(error.message);
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

const usage = (message: string) => new CommandError(EXIT.usage, 'usage', message);
