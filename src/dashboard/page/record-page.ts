import { useEffect, useState } from 'preact/hooks';
import type { HealthView } from '../documents.ts';
import { count, dateTime } from './format.ts';
import { html } from './html.ts';
import { checkRecord, type RecordCheck, RecordFault } from './record-check.ts';
import { useAnswer, usePageState } from './state.ts';

interface Progress {
  readonly read: number;
  readonly check?: RecordCheck;
  readonly fault?: RecordFault;
  readonly failure?: string;
}

/** The log of decisions, verified by this browser. */
export function RecordPage() {
  const { epoch } = usePageState();
  const [progress, setProgress] = useState<Progress>({ read: 0 });
  const key = `${epoch!.epoch}.${epoch!.version}`;
  useEffect(() => {
    let isCurrent = true;
    const set = (next: Partial<Progress>) =>
      isCurrent && setProgress((old) => ({ ...old, ...next }));
    checkRecord((read) => set({ read })).then(
      (check) => isCurrent && setProgress({ read: check.size, check }),
      (error: unknown) => {
        if (error instanceof RecordFault) set({ fault: error });
        else set({ failure: error instanceof Error ? error.message : String(error) });
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [key]);
  const { check, fault, failure, read } = progress;
  const { answer: health } = useAnswer<HealthView>('/api/health', key);
  return html`
    <h1>Record</h1>
    <p>Every epoch, enrolment, removal and change is an entry of a log that can only grow. This browser reads it and
      believes nothing that it cannot compute: that the mesh’s key signed it, that every entry is in it, and that it
      grew out of what this browser saw before.</p>
    ${fault && html`<${Fault} fault=${fault} />`}
    ${failure && html`<p class="failure">It could not be read: ${failure}</p>`}
    ${!check && !fault && !failure && html`<p role="status">Verifying … ${count(read, 'entry', 'entries')}</p>`}
    ${check && !fault && html`<${Verified} check=${check} />`}
    ${health && !fault && html`<${Witnesses} health=${health} />`}
    ${check && !fault && html`<${Entries} check=${check} />`}
  `;
}

/** Who would notice if others were shown another record. */
function Witnesses({ health: { witnesses } }: { health: HealthView }) {
  if (witnesses.length === 0) {
    return html`<h2>Witnesses</h2><p>Nobody cosigns this record: whether others are shown another one, only who compares will notice.</p>`;
  }
  return html`<h2 id="witnesses">Witnesses</h2>
    <p class="caption">As the controller says; this browser does not know their keys. Each cosigns only what grew out of what it cosigned before.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="witnesses"><table>
      <thead><tr><th scope="col">Witness</th><th scope="col">Entries that it cosigned</th><th scope="col">Epochs behind</th></tr></thead>
      <tbody>${witnesses.map(
        ({ witness, entries, behind }) => html`<tr key=${witness}><th scope="row">${witness}</th>
        <td>${entries === 0 ? 'none since the start' : entries.toLocaleString()}</td><td>${behind}</td></tr>`,
      )}</tbody>
    </table></div>`;
}

/** A fork or a rewrite: loud, with what proves it. */
function Fault({ fault }: { fault: RecordFault }) {
  return html`<div class="fault" role="alert">
    <p><b>Do not trust this record.</b> ${fault.message}</p>
    <p>This is what proves it; whoever has the mesh’s key can verify it:</p>
    ${fault.evidence.map((one) => html`<pre tabindex="0">${one}</pre>`)}
  </div>`;
}

function Verified({ check }: { check: RecordCheck }) {
  const { before } = check;
  const grew =
    before === undefined
      ? 'This is the first time that this browser sees it; from now on it remembers.'
      : `It grew out of the ${count(before.size, 'entry', 'entries')} that this browser saw on ${dateTime(before.at)}.`;
  return html`
    <p class="summary"><span class="mark member" aria-hidden="true">✓</span> <b>Verified here:</b>${' '}
      ${count(check.size, 'entry', 'entries')}, signed by the mesh’s key. ${grew}</p>
    <dl>
      <dt>Root</dt><dd><code>${check.root}</code></dd>
      <dt>Mesh</dt><dd><code>${check.meshId}</code></dd>
      <dt>Key for other tools</dt><dd><code>${check.verifierKey}</code></dd>
    </dl>`;
}

function Entries({ check }: { check: RecordCheck }) {
  return html`
    <h2 id="entries">Latest entries</h2>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="entries"><table>
      <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Details</th></tr></thead>
      <tbody>${check.entries.toReversed().map(
        (entry) => html`<tr>
        <th scope="row">${dateTime(Number(entry.at))}</th><td>${String(entry.event).replaceAll('_', ' ')}</td><td class="why">${details(entry)}</td>
      </tr>`,
      )}</tbody>
    </table></div>`;
}

/** What an entry is about, in a few words; the whole of it is in the log. */
function details(entry: Readonly<Record<string, unknown>>): string {
  switch (entry.event) {
    case 'epoch':
      return epochDetails(entry);
    case 'asked': {
      const about = entry.about === null ? '' : ` ${entry.about}`;
      return `${String(entry.what).replaceAll('_', ' ')}${about}, by ${entry.by ?? 'the admin socket'}`;
    }
    case 'policy':
      return `its hash is ${entry.hash}`;
    case 'brake': {
      const held = entry.held as { count: number; nodes: string[] | null };
      return held.count === 0
        ? 'holds nobody any more'
        : `holds in: ${held.nodes?.join(', ') ?? held.count}`;
    }
    case 'restored':
      return `goes on with epoch ${entry.epoch}`;
    default:
      return entry.node === undefined ? '' : String(entry.node);
  }
}

function epochDetails(entry: Readonly<Record<string, unknown>>): string {
  const removed = entry.removed as { count: number; nodes: string[] | null };
  const cut =
    removed.count === 0 ? '' : `, shut out: ${removed.nodes?.join(', ') ?? removed.count}`;
  return `${entry.epoch}: ${count(Number(entry.members), 'member')}, ${entry.denied} denied${cut}`;
}
