import { isIP } from 'node:net';
import type { ControllerOptions } from '../controller/controller.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { TlsFileError, TlsFiles } from './tls-files.ts';

/** Options of `meshnet controller` about how it is spoken to. */
export interface TransportOptions {
  readonly listen: { readonly host: string };
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly insecureHttp?: boolean;
  readonly behindProxy?: string;
}

export interface Transport extends Pick<ControllerOptions, 'tls' | 'proxy'> {
  /** Where the certificate comes from, if it is from files. */
  readonly files?: TlsFiles;
}

/**
 * TLS with the certificate that was given, or else with the mesh's own. Plain HTTP only where it was
 * asked for, stays on this machine, or comes from a proxy that is named.
 */
export function transportOf(options: TransportOptions): Transport {
  const { listen, tlsCert, tlsKey, insecureHttp = false, behindProxy } = options;
  const hasFiles = tlsCert !== undefined || tlsKey !== undefined;
  if (hasFiles && (tlsCert === undefined || tlsKey === undefined)) {
    throw usage('--tls-cert and --tls-key belong together: give both');
  }
  const ways = [hasFiles, insecureHttp, behindProxy !== undefined].filter(Boolean).length;
  if (ways > 1) throw usage('--tls-cert, --insecure-http and --behind-proxy exclude each other');
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
    return { tls: files.certificate, files };
  }
  return isLoopback(listen.host) ? {} : { tls: 'own' };
}

function opened(cert: string, key: string): TlsFiles {
  try {
    return new TlsFiles(cert, key);
  } catch (error) {
    if (!(error instanceof TlsFileError)) throw error;
    throw usage(error.message);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

const usage = (message: string) => new CommandError(EXIT.usage, 'usage', message);
