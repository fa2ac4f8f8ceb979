import type { AccessSelf } from '../contract/access.ts';
import type { PolicyAnswer, PolicyChange, PolicyOutlook } from '../contract/policy.ts';
import type { Checked } from '../contract/problems.ts';
import type { ProofDocument } from '../contract/record/proof.ts';
import type { HolderCaller } from '../controller/operations/caller.ts';
import type {
  ChangeView,
  EpochPoint,
  HealthView,
  MarkView,
  MeshView,
  NodeHistory,
  ReachView,
  ReplayView,
} from './documents.ts';

/** What the dashboard shows, and whom it knows. */
export interface DashboardSource {
  policy(): PolicyAnswer;
  /** Another policy, tried on what is remembered; until `signal` aborts. */
  replay(document: object, signal: AbortSignal): Promise<Checked<ReplayView>>;
  /** The proof of what `epoch` decided about a node. `holder`: who signed in, if somebody did. */
  proof(
    node: string,
    epoch: number,
    holder: HolderCaller | undefined,
    signal: AbortSignal,
  ): Promise<Checked<ProofDocument>>;
  setPolicy(caller: HolderCaller, change: PolicyChange): Promise<Checked<PolicyOutlook>>;
  /** `from`: the address that pays for a token that is none. */
  signIn(token: string, from: string): Promise<Checked<HolderCaller>>;
  /** Who a holder is, while its token is good. */
  whoIs(holder: HolderCaller): Promise<Checked<AccessSelf>>;
  mesh(): Promise<MeshView>;
  node(id: string): Promise<NodeHistory>;
  reach(): ReachView;
  epochs(limit: number): readonly EpochPoint[];
  changes(limit: number): readonly ChangeView[];
  marks(limit: number): readonly MarkView[];
  health(): Promise<HealthView>;
  /** A file of the log by its path below `/log/`, or `key`: how its key is told to tools. */
  logFile(path: string): Promise<Checked<Uint8Array>>;
}
