import { useState } from 'preact/hooks';
import { html } from './html.ts';
import { ask } from './send.ts';

/** Saves the proof of what an epoch decided about a node, as it comes, or says why there is none. */
export function ProofButton({ id, epoch }: { id: string; epoch: number }) {
  const [state, setState] = useState<{ isBusy: boolean; failure?: string }>({ isBusy: false });
  const save = async () => {
    setState({ isBusy: true });
    const path = `/api/nodes/${encodeURIComponent(id)}/proof?epoch=${epoch}`;
    const { answer, failure } = await ask('GET', path);
    setState({ isBusy: false, ...(failure !== undefined && { failure }) });
    if (answer !== undefined) download(await answer.blob(), `${id}-${epoch}.proof.json`);
  };
  return html`<button type="button" disabled=${state.isBusy} onClick=${save}>Save proof of epoch ${epoch}</button>
    ${state.failure && html`<p role="alert" class="failure">${state.failure}</p>`}`;
}

function download(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
