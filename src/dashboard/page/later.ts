import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { html } from './html.ts';

/** What is drawn first waits for nothing that only other pages need. */
const waiting: (() => Promise<unknown>)[] = [];

/** A page whose modules are fetched when it is looked at, or by `fetchRest`. */
export function later<Props extends object>(
  fetch: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  let page: ComponentType<Props> | undefined;
  const get = async () => {
    page ??= await fetch();
  };
  waiting.push(get);
  return (props) => {
    const [failure, setFailure] = useState<string>();
    const [, draw] = useState(false);
    useEffect(() => {
      get().then(
        () => draw(true),
        (error: unknown) => setFailure(String(error)),
      );
    }, []);
    if (page !== undefined) return html`<${page} ...${props} />`;
    return failure === undefined
      ? html`<p class="starting">Asking the controller …</p>`
      : html`<p class="failure">This page could not be fetched: ${failure}</p>`;
  };
}

/** All pages, so that they are there when the controller is not. */
export async function fetchRest(): Promise<void> {
  await Promise.allSettled(waiting.map((get) => get()));
}
