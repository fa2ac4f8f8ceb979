import { toBase64 } from '../contract/encoding.ts';
import { encodeEntries } from '../contract/epoch/entry-list.ts';
import type { HeaderDocument } from '../contract/epoch/header.ts';
import { MAX_CHANGED_ENTRIES, type MembershipDelta } from '../contract/epoch/keys-answer.ts';
import type { EpochView } from './epoch-view.ts';
import type { Store } from './store/store.ts';

/** Whoever missed more epochs than this fetches the membership in chunks. */
const MAX_EPOCHS = 64;

/** What changed since earlier versions; each is worked out once for all who ask. */
export class MembershipDeltas {
  private readonly store: Pick<Store, 'header'>;
  private cached: { readonly of: EpochView; readonly bySince: Map<number, MembershipDelta | null> };

  constructor(store: Pick<Store, 'header'>) {
    this.store = store;
    this.cached = { of: {} as EpochView, bySince: new Map() };
  }

  /** Null: there are too many changes, or what they were is not known any more. */
  async since(view: EpochView, version: number): Promise<MembershipDelta | null> {
    if (this.cached.of !== view) this.cached = { of: view, bySince: new Map() };
    const { bySince } = this.cached;
    const behind = view.document.version - version;
    if (behind < 0 || behind > MAX_EPOCHS) return null;
    const known = bySince.get(version);
    if (known !== undefined) return known;
    const delta = await this.between(view, behind, version);
    bySince.set(version, delta);
    return delta;
  }

  private async between(
    view: EpochView,
    behind: number,
    since: number,
  ): Promise<MembershipDelta | null> {
    const names = new Set<string>();
    const cameOrWent = new Set<string>();
    for (let back = 0; back < behind; back++) {
      const epoch = view.document.epoch - back;
      const envelope = back === 0 ? view.header.envelope : await this.store.header(epoch);
      if (envelope === undefined) return null;
      const header: HeaderDocument = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
      const { removed, added, changed } = header.changes;
      if (header.version !== view.document.version - back || !added || !changed) return null;
      for (const nodeId of [...removed, ...added]) cameOrWent.add(nodeId);
      for (const nodeId of [...removed, ...added, ...changed]) names.add(nodeId);
    }
    const { members } = view.header;
    const removed = [...names].filter((nodeId) => !view.places.has(nodeId));
    const present = [...names].flatMap((nodeId) => members[view.places.get(nodeId) ?? -1] ?? []);
    if (present.length > MAX_CHANGED_ENTRIES) return null;
    // Who has been a member all the time has the keys, the address and the beginning that it had.
    const moved = present.filter(({ nodeId }) => !cameOrWent.has(nodeId));
    const others = present.filter(({ nodeId }) => cameOrWent.has(nodeId));
    return {
      since,
      removed,
      moved: moved.map(({ nodeId, endpoint, candidates }) => ({
        node_id: nodeId,
        endpoint,
        ...(candidates === undefined ? {} : { candidates }),
      })),
      entries: toBase64(encodeEntries(others)),
    };
  }
}
