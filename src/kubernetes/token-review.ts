/**
 * Who shows a service account's token: the TokenReview of Kubernetes (authentication.k8s.io/v1). The API
 * server alone decides; a token of a pod that was deleted is not authenticated any more.
 */

/** What Kubernetes vouches for. */
export interface PodIdentity {
  /** `NAMESPACE/NAME` of the service account. */
  readonly account: string;
  /** Name of the pod that the token was made for. */
  readonly pod: string | undefined;
  /** Name of the machine that the pod runs on: `node` in words of Kubernetes. */
  readonly machine: string | undefined;
}

export interface ReviewOptions {
  /** The API server, e.g. `https://10.96.0.1`. Its certificate must be one that this process trusts. */
  readonly api: string;
  /** The reviewer's own token, read anew for each review: it is renewed in its file. */
  readonly ownToken: () => string;
  /** What a token must have been made for. */
  readonly audience: string;
  /** ms. */
  readonly timeoutMs: number;
}

/** Kubernetes could not be asked, or did not answer as it should: nobody is let in, nobody refused. */
export class ReviewError extends Error {
  override readonly name = 'ReviewError';
}

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly user?: {
      readonly username?: string;
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

/** Who shows this token; undefined if Kubernetes does not vouch for it. Rejects with a `ReviewError`. */
export async function reviewToken(
  token: string,
  options: ReviewOptions,
): Promise<PodIdentity | undefined> {
  const { api, ownToken, audience, timeoutMs } = options;
  const review = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences: [audience] },
  };
  let answer: TokenReview;
  try {
    const response = await fetch(`${api}/apis/authentication.k8s.io/v1/tokenreviews`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ownToken()}`, 'content-type': 'application/json' },
      body: JSON.stringify(review),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status !== 201) throw new Error(`status ${response.status}, expected 201`);
    answer = (await response.json()) as TokenReview;
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? cause.message : message;
    throw new ReviewError(`${api} did not review the token: ${why}`);
  }
  return identityIn(answer, audience);
}

/** An authenticator that knows no audiences ignores them, so that the answer must name ours. */
function identityIn({ status }: TokenReview, audience: string): PodIdentity | undefined {
  if (status?.authenticated !== true || !status.audiences?.includes(audience)) return undefined;
  const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(status.user?.username ?? '');
  if (!match) return undefined;
  const extra = (name: string) => status.user?.extra?.[`authentication.kubernetes.io/${name}`]?.[0];
  return {
    account: `${match[1]}/${match[2]}`,
    pod: extra('pod-name'),
    machine: extra('node-name'),
  };
}
