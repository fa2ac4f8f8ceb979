import type { ServerCertificate } from '../../controller/own-certificate.ts';
import type { ChallengeAnswers } from './challenge-answers.ts';

/** What a certificate is asked for with (RFC 8555). */
export interface AcmeOrder {
  /** URL of the authority's directory. */
  readonly directory: string;
  /** Host names; the first is the subject. */
  readonly names: readonly string[];
  /** Where the authority writes to, if anywhere. */
  readonly email?: string;
  /** The account's private key, PEM. */
  readonly accountKey: string;
}

/** The library is an optional dependency, and is not there. */
export class AcmeMissingError extends Error {
  override readonly name = 'AcmeMissingError';
}

/** A private key for an account, PEM. */
export async function newAccountKey(): Promise<string> {
  const { crypto } = await library();
  return (await crypto.createPrivateEcdsaKey()).toString();
}

/**
 * A certificate for a key that is made here, by the challenge http-01: the authority asks each of the
 * names on port 80 for what `answers` knows. Rejects if the authority cannot be reached or refuses.
 */
export async function orderCertificate(
  { directory, names, email, accountKey }: AcmeOrder,
  answers: ChallengeAnswers,
): Promise<ServerCertificate> {
  const { Client, crypto } = await library();
  const client = new Client({ directoryUrl: directory, accountKey });
  const [key, csr] = await crypto.createCsr(
    { altNames: [...names] },
    await crypto.createPrivateEcdsaKey(),
  );
  const cert = await client.auto({
    csr,
    ...(email === undefined ? {} : { email }),
    termsOfServiceAgreed: true,
    challengePriority: ['http-01'],
    skipChallengeVerification: true, // the names need not lead here from inside
    challengeCreateFn: async (_, { token }, answer) => answers.add(token, answer),
    challengeRemoveFn: async (_, { token }) => answers.remove(token),
  });
  return { key: key.toString(), cert };
}

async function library() {
  try {
    return await import('acme-client');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new AcmeMissingError('--acme: the package acme-client is not installed here');
  }
}
