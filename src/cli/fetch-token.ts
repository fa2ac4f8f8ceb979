import { Backoff } from '../agent/backoff.ts';
import { systemClock } from '../agent/clock.ts';
import { replaceFileSync } from '../ground/files.ts';
import { fetchJoinToken, JoinTokenError } from '../kubernetes/fetch-join-token.ts';
import { print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { standardError } from './standard-output.ts';
import { stopSignal } from './stop-signal.ts';
import { readTokenFile } from './token-file.ts';

/** Options of `meshnet token fetch`. */
export interface FetchTokenOptions {
  readonly identity: string;
  readonly into: string;
  readonly timeout: number;
  readonly json?: boolean;
}

const TRY_TIMEOUT_MS = 10_000;

/**
 * `meshnet token fetch URL`: shows who this pod is, and leaves a join token in a file; an empty one if
 * its node is enrolled. Tries for so long while nobody answers.
 */
export async function fetchToken(url: string, options: FetchTokenOptions): Promise<void> {
  const signal = stopSignal({ withStdin: false, withStdout: false });
  const backoff = new Backoff(500, 5000, Math.random);
  const end = performance.now() + options.timeout * 1000;
  for (;;) {
    const identity = readTokenFile(options.identity, '--identity') ?? '';
    try {
      const { node_id, token } = await fetchJoinToken(url, identity, TRY_TIMEOUT_MS);
      replaceFileSync(options.into, token === null ? '' : `${token}\n`, { durable: false });
      const text =
        token === null ? `${node_id} is enrolled` : `join token for ${node_id}: ${options.into}`;
      return print(options, { node_id, into: token === null ? null : options.into }, text);
    } catch (error) {
      if (!(error instanceof JoinTokenError)) throw error;
      if (!error.mayPass) throw new CommandError(EXIT.refused, 'refused', error.message);
      if (performance.now() >= end || signal.aborted) {
        throw new CommandError(EXIT.unreachable, 'unreachable', error.message);
      }
      standardError().write(`meshnet token fetch: ${error.message}; trying again\n`);
    }
    await systemClock.sleep(backoff.next(), signal);
  }
}
