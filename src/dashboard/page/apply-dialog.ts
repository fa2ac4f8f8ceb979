import { useEffect, useRef, useState } from 'preact/hooks';
import type { PolicyOutlook } from '../../contract/policy.ts';
import { count, duration } from './format.ts';
import { html } from './html.ts';
import { useNow, usePageState } from './state.ts';

interface Props {
  outlook: PolicyOutlook;
  onApply: (confirmed: boolean) => void;
  onCancel: () => void;
}

/** Names what will happen, and asks whether it is meant. */
export function ApplyDialog({ outlook, onApply, onCancel }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isMeant, setMeant] = useState(false);
  const { epoch } = usePageState();
  const now = useNow();
  useEffect(() => dialog.current!.showModal(), []);
  const { cut, admitted, members, rules, over_brake: isOver } = outlook;
  const left = epoch!.nextRotationAt - now;
  const when = left > 0 ? `in ${duration(left)}` : 'now';
  const deed = cut.length === 0 ? 'Apply' : `Apply, and cut ${count(cut.length, 'node')}`;
  return html`<dialog ref=${dialog} aria-labelledby="apply-title" onCancel=${onCancel}>
    <h2 id="apply-title">Judge by this policy from the next epoch on?</h2>
    <ul>${rules.map((rule) => html`<li class="why">${rule}</li>`)}</ul>
    <p>It begins ${when}. As scores are now, ${cut.length === 0 ? `none of ${count(members, 'member')} is out then.` : `${cut.length} of ${count(members, 'member')} ${cut.length === 1 ? 'is' : 'are'} out then, unless the brake holds:`}</p>
    ${cut.length > 0 && html`<${Names} names=${cut} />`}
    ${admitted.length > 0 && html`<p>Let in, once they have been good for long enough:</p><${Names} names=${admitted} />`}
    ${
      isOver &&
      html`<p class="fault-line"><label><input type="checkbox" checked=${isMeant} onChange=${(event: Event) => setMeant((event.target as HTMLInputElement).checked)} />
      These are more than the brake believes. It is meant.</label></p>`
    }
    <p class="buttons">
      <button type="button" disabled=${isOver && !isMeant} onClick=${() => onApply(isOver && isMeant)}>${deed}</button>
      <button type="button" onClick=${onCancel}>Leave it as it is</button>
    </p>
  </dialog>`;
}

function Names({ names }: { names: readonly string[] }) {
  return html`<ul class="names" tabindex="0" aria-label="Nodes">${names.map((one) => html`<li><b>${one}</b></li>`)}</ul>`;
}
