import { useEffect, useState } from 'preact/hooks';
import type { SessionView } from '../documents.ts';
import { send } from './send.ts';

/** Who looks at this page, as the controller knows it; undefined until it was asked. */
let session: SessionView | undefined;
const listeners = new Set<() => void>();

function set(next: SessionView): boolean {
  session = next;
  for (const listener of listeners) listener();
  return !next.mustSignIn || next.name !== null;
}

export function useSession(): SessionView | undefined {
  const [, draw] = useState(0);
  useEffect(() => {
    const listener = () => draw((n) => n + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return session;
}

/** Whether this page may read; while nobody answers, that is not known, and it may try. */
export async function mayRead(): Promise<boolean> {
  const { answer } = await send<SessionView>('GET', '/api/session');
  return answer === undefined || set(answer);
}

/** An error in words; undefined: signed in. The token is sent once, and kept nowhere. */
export async function signIn(token: string): Promise<string | undefined> {
  const { answer, failure } = await send<SessionView>('POST', '/api/session', { token });
  if (answer !== undefined) set(answer);
  return failure;
}

export async function signOut(): Promise<void> {
  await send('DELETE', '/api/session');
  await mayRead();
}
