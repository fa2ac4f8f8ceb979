/** Somebody's address, and how it is reached. */
export interface DeliveryOptions {
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
}

export interface Posted {
  readonly url: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** So many wait for a receiver that is slow; what comes beyond is dropped, and counted. */
export const CAPACITY = 256;
const TIMEOUT_MS = 5000;
/** Waits between tries, ms. */
const AGAIN_AFTER = [1000, 5000, 30_000] as const;
/** What is read of a refusal. */
const MOST_BYTES = 4096;

/** A receiver refused, or was away for as often as it was tried. */
export class UndeliveredError extends Error {
  override readonly name = 'UndeliveredError';
  /** It refused this one: the next may be taken. */
  readonly isFinal: boolean;

  constructor(what: string, isFinal: boolean) {
    super(what);
    this.isFinal = isFinal;
  }
}

/**
 * Posts until it is taken, four times within a minute. Rejects with an `UndeliveredError`; what is
 * refused (4xx) is not tried again. `refusal` reads why from the refusal's body.
 */
export async function deliver(
  { fetch, sleep }: DeliveryOptions,
  posted: Posted,
  refusal: (body: string) => string = () => '',
): Promise<void> {
  for (const wait of [...AGAIN_AFTER, undefined]) {
    const failure = await post(fetch, posted, refusal);
    if (failure === undefined) return;
    if (failure.isFinal || wait === undefined) throw failure;
    await sleep(wait);
  }
}

/** What went wrong; undefined: it was taken. */
async function post(
  send: typeof fetch,
  { url, body, headers }: Posted,
  refusal: (body: string) => string,
): Promise<UndeliveredError | undefined> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await send(url, { method: 'POST', body, headers, redirect: 'error', signal });
    if (response.ok) return void (await response.body?.cancel());
    const { status } = response;
    const isFinal = status >= 400 && status < 500 && status !== 429 && status !== 408;
    const why = refusal(await beginningOf(response));
    return new UndeliveredError(`the receiver answers ${status}${why}`, isFinal);
  } catch (error) {
    return new UndeliveredError((error as Error).message, false);
  }
}

async function beginningOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= MOST_BYTES) break; // leaving the loop cancels the body
  }
  return Buffer.concat(chunks).subarray(0, MOST_BYTES).toString();
}
