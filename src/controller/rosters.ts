import { toBase64Url } from '../contract/encoding.ts';
import { type RosterEntry, rosterName } from '../contract/epoch/roster.ts';
import { compareNodeIds } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { NodeDirectory } from './directory.ts';
import type { EpochView } from './epoch-view.ts';

/** A list of enrolled nodes, and its name (32 bytes). */
export interface Roster {
  readonly name: Uint8Array;
  readonly bytes: Uint8Array;
}

interface Rosters {
  readonly view: EpochView;
  readonly changes: number;
  /** For members, who hold all others as members. */
  readonly others: Roster;
  /** For denied nodes, who hold nobody. */
  readonly everybody: Roster;
}

/** The lists of enrolled nodes that leases name, each made once for what it says; the last ones are kept. */
export class RosterLists {
  private readonly crypto: CryptoProvider;
  private readonly directory: Pick<NodeDirectory, 'nodes' | 'changes'>;
  private newest: Rosters | undefined;
  private before: Rosters | undefined;

  constructor(crypto: CryptoProvider, directory: Pick<NodeDirectory, 'nodes' | 'changes'>) {
    this.crypto = crypto;
    this.directory = directory;
  }

  of(view: EpochView, isMember: boolean): Roster {
    const { changes, nodes } = this.directory;
    if (this.newest?.view !== view || this.newest.changes !== changes) {
      const all = [...nodes.values()]
        .map((node): RosterEntry => {
          const allowed = view.places.has(node.nodeId);
          return { node_id: node.nodeId, tunnel_address: node.tunnelAddress, allowed };
        })
        .sort((a, b) => compareNodeIds(a.node_id, b.node_id));
      const list = (entries: readonly RosterEntry[]): Roster => {
        const bytes = new TextEncoder().encode(JSON.stringify(entries));
        return { name: rosterName(this.crypto, bytes), bytes };
      };
      this.before = this.newest;
      const others = list(all.filter((entry) => !entry.allowed));
      this.newest = { view, changes, others, everybody: list(all) };
    }
    return isMember ? this.newest.others : this.newest.everybody;
  }

  /** The list with this name (base64url); undefined if it is not kept any more. */
  piece(name: string): Uint8Array | undefined {
    const lists = [this.newest, this.before].flatMap((one) =>
      one ? [one.others, one.everybody] : [],
    );
    return lists.find((list) => toBase64Url(list.name) === name)?.bytes;
  }
}
