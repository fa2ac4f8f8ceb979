/** What the controller said: an answer, or an error in words. */
export interface Said<T> {
  readonly answer?: T;
  readonly failure?: string;
  /** Of the refusal, if there was one. */
  readonly status?: number;
}

interface Refusal {
  readonly title?: string;
  readonly detail?: string;
  readonly field?: string;
  readonly expected?: string;
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Asks the controller for something; the answer as it came. */
export async function ask(method: Method, path: string, body?: object): Promise<Said<Response>> {
  let response: Response;
  try {
    const headers = { 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) };
    response = await fetch(path, { method, ...sent });
  } catch {
    return { failure: 'The controller does not answer.' };
  }
  if (response.ok) return { answer: response };
  const { status } = response;
  return { failure: words(await refusalIn(response), status), status };
}

/** The same, for what is answered in JSON. */
export async function send<T>(method: Method, path: string, body?: object): Promise<Said<T>> {
  const { answer, failure } = await ask(method, path, body);
  if (answer === undefined) return failure === undefined ? {} : { failure };
  return answer.status === 204 ? {} : { answer: (await answer.json()) as T };
}

async function refusalIn(response: Response): Promise<Refusal> {
  try {
    return (await response.json()) as Refusal;
  } catch {
    return {};
  }
}

function words({ title, detail, field, expected }: Refusal, status: number): string {
  const where = expected === undefined ? '' : ` ${field ?? 'it'}: expected ${expected}.`;
  return `${title ?? `HTTP ${status}`}.${where}${detail === undefined ? '' : ` ${detail}`}`;
}
