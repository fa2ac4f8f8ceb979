import { useState } from 'preact/hooks';
import type { PolicyAnswer, PolicyOutlook } from '../../contract/policy.ts';
import type { ReplayView } from '../documents.ts';
import { ApplyDialog } from './apply-dialog.ts';
import { html } from './html.ts';
import { ReplayResult } from './replay-result.ts';
import { type Said, send } from './send.ts';
import { useSession } from './session.ts';
import { useAnswer, usePageState } from './state.ts';

/** What is being written, also while other pages are looked at; undefined: the policy in force. */
let draft: string | undefined;

/** What the buttons brought. */
interface Outcome {
  readonly busy?: string;
  readonly failure?: string;
  readonly said?: string;
  readonly replay?: ReplayView;
  /** Of this document, to be confirmed. */
  readonly outlook?: { readonly document: object; readonly of: PolicyOutlook };
}

/** The policy in force, and a proposed one: tried on the past, and set. */
export function PolicyPage() {
  const { epoch } = usePageState();
  const [setAt, setSetAt] = useState(0);
  const { answer, failure } = useAnswer<PolicyAnswer>('/api/policy', `${epoch!.epoch} ${setAt}`);
  return html`
    <h1>Policy</h1>
    ${failure && html`<p class="failure">${failure}</p>`}
    ${answer && html`<${InForce} policy=${answer} /><${Proposal} policy=${answer} onSet=${() => setSetAt(Date.now())} />`}
  `;
}

function InForce({ policy }: { policy: PolicyAnswer }) {
  const { rules, evaluators } = policy;
  const judges =
    evaluators.length === 0 ? '' : ` Evaluators whose word counts: ${evaluators.length}.`;
  return html`<h2>In force</h2>
    <ul>${rules.map((rule) => html`<li class="why">${rule}</li>`)}</ul>
    ${judges && html`<p>${judges}</p>`}`;
}

function Proposal({ policy, onSet }: { policy: PolicyAnswer; onSet: () => void }) {
  const inForce = JSON.stringify(policy.policy, null, 2);
  const [text, setText] = useState(draft ?? inForce);
  const [outcome, setOutcome] = useState<Outcome>({});
  const session = useSession();
  const write = (next: string) => {
    draft = next === inForce ? undefined : next;
    setText(next);
  };
  /** Does something with the document; what is no document is not even sent. */
  const withDocument = async (busy: string, work: (document: object) => Promise<Outcome>) => {
    const read = documentIn(text);
    if (typeof read === 'string') return setOutcome({ failure: read });
    setOutcome({ busy });
    setOutcome(await work(read));
  };
  const tryOut = () =>
    withDocument('Replaying the past …', async (document) => {
      const said = await send<ReplayView>('POST', '/api/policy/replay', { document });
      return said.answer ? { replay: said.answer } : failed(said);
    });
  const lookAhead = () =>
    withDocument('Asking who would be out …', async (document) => {
      const said = await change(document, { dry_run: true, confirmed: false });
      return said.answer ? { outlook: { document, of: said.answer } } : failed(said);
    });
  const apply = async (document: object, confirmed: boolean) => {
    const said = await change(document, { dry_run: false, confirmed });
    if (said.answer) draft = undefined;
    setOutcome(said.answer ? { said: 'Set: judged by it from the next epoch on.' } : failed(said));
    if (said.answer) onSet();
  };
  const { busy, failure, said, replay, outlook } = outcome;
  const isAdmin = session?.role === 'admin';
  return html`<h2><label for="proposal">Proposed</label></h2>
    <textarea id="proposal" rows="14" spellcheck=${false} value=${text} aria-invalid=${failure !== undefined}
      aria-describedby="outcome" onInput=${(event: Event) => write((event.target as HTMLTextAreaElement).value)}></textarea>
    <p class="buttons">
      <button type="button" disabled=${busy !== undefined} onClick=${tryOut}>Replay over the past</button>
      <button type="button" disabled=${busy !== undefined || !isAdmin} onClick=${lookAhead}>Apply …</button>
      <button type="button" disabled=${text === inForce} onClick=${() => write(inForce)}>Back to the one in force</button>
      ${!isAdmin && html`<span class="caption">Applying needs an access token with the role admin: <a href="#/sign-in">sign in</a>.</span>`}
    </p>
    <div id="outcome" role="status">
      ${busy && html`<p>${busy}</p>`}
      ${said && html`<p><b>${said}</b></p>`}
      ${failure && html`<p class="failure">${failure}</p>`}
    </div>
    ${replay && html`<${ReplayResult} replay=${replay} />`}
    ${
      outlook &&
      html`<${ApplyDialog} outlook=${outlook.of} onCancel=${() => setOutcome({})}
      onApply=${(confirmed: boolean) => apply(outlook.document, confirmed)} />`
    }`;
}

function change(document: object, how: { dry_run: boolean; confirmed: boolean }) {
  return send<PolicyOutlook>('PUT', '/api/policy', { document, ...how });
}

function failed({ failure }: Said<unknown>): Outcome {
  return { failure: failure ?? 'The controller did not say why.' };
}

/** A JSON object, or why it is none. */
function documentIn(text: string): object | string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
    return 'A policy is a JSON object.';
  } catch (error) {
    return `This is no JSON: ${(error as Error).message}`;
  }
}
