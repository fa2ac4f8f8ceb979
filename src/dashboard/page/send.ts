/** What the controller said: an answer, or an error in words. */
export interface Said<T> {
  readonly answer?: T;
  readonly failure?: string;
  /** The code of the problem, and the field that it names, if it does. */
  readonly code?: string;
  readonly field?: string;
}

interface Refusal {
  readonly title?: string;
  readonly detail?: string;
  readonly code?: string;
  readonly field?: string;
  readonly expected?: string;
}

/** Asks the controller for something. */
export async function send<T>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
): Promise<Said<T>> {
  try {
    const json = { 'content-type': 'application/json' };
    const response = await fetch(
      path,
      body === undefined ? { method } : { method, headers: json, body: JSON.stringify(body) },
    );
    if (response.status === 204) return {};
    const answer = (await response.json()) as T & Refusal;
    if (response.ok) return { answer };
    const { code, field } = answer;
    return {
      failure: words(answer, response.status),
      ...(code && { code }),
      ...(field && { field }),
    };
  } catch {
    return { failure: 'The controller does not answer.' };
  }
}

function words({ title, detail, field, expected }: Refusal, status: number): string {
  const where = expected === undefined ? '' : ` ${field ?? 'it'}: expected ${expected}.`;
  return `${title ?? `HTTP ${status}`}.${where}${detail === undefined ? '' : ` ${detail}`}`;
}
