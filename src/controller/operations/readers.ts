import { SIGNATURE_TAGS, type SignatureTag } from '../../contract/http-signature.ts';
import { accepted, type Checked, rejected } from '../../contract/problems.ts';
import { membersOf } from '../epoch.ts';
import type { Services } from '../services.ts';
import type { NodeRecord } from '../store/store.ts';
import { atLeast, showsWhoItIs } from './authorise.ts';
import type { Caller } from './caller.ts';
import { signerOf } from './signer.ts';

/**
 * For the state of the mesh: whoever has the role `view`, monitors, members, and callers on this machine
 * if the settings say so.
 */
export async function readersOnly(services: Services, caller: Caller): Promise<Checked<unknown>> {
  return readerOf(services, caller);
}

/** The same, and which member it is; null: none of them. */
export async function readerOf(
  services: Services,
  caller: Caller,
): Promise<Checked<NodeRecord | null>> {
  if (caller.kind === 'holder') return viewersOnly(services, caller);
  if (caller.kind !== 'network') return accepted(null);
  const { settings, governor } = services;
  if (settings.epochOnLoopback && caller.isLocal) return accepted(null);
  if (showsWhoItIs(caller)) return viewersOnly(services, caller);
  const signer = signerOf(services, caller.request, SIGNATURE_TAGS.epoch);
  if (!signer.ok) return signer;
  const { node } = signer.value;
  if (membersOf(governor.current).has(node.nodeId)) return accepted(node);
  return rejected('not_authorized', { expected: 'a member of the present epoch' });
}

async function viewersOnly(services: Services, caller: Caller): Promise<Checked<null>> {
  const allowed = await atLeast(services, caller, 'view');
  return allowed.ok ? accepted(null) : allowed;
}

/** For what every enrolled node may see, denied ones too; `tag` is what it must sign for. */
export async function enrolledOnly(
  services: Services,
  caller: Caller,
  tag: SignatureTag,
): Promise<Checked<unknown>> {
  if (caller.kind === 'holder') return viewersOnly(services, caller);
  const isHere = caller.kind === 'network' && services.settings.epochOnLoopback && caller.isLocal;
  if (caller.kind !== 'network' || isHere) return accepted(null);
  if (showsWhoItIs(caller)) return atLeast(services, caller, 'view');
  return signerOf(services, caller.request, tag);
}
