import type { NodeDirectory } from './directory.ts';
import type { Presence } from './presence.ts';

/** An ephemeral node that nothing was heard of for as long as its token says. */
export interface SilentNode {
  readonly nodeId: string;
  /** For how long, seconds. */
  readonly silentS: number;
}

/**
 * The ephemeral nodes that are silent at `now`. Nobody was heard before `since`, when the controller
 * started; its own absence is not theirs. Times: controller's clock, ms.
 */
export function silentNodes(
  { nodes }: NodeDirectory,
  presence: Presence,
  since: number,
  now: number,
): SilentNode[] {
  return [...nodes.values()].flatMap(({ nodeId, silenceS, enrolledAt }) => {
    if (silenceS === undefined) return [];
    const heard = presence.heardAt(nodeId) ?? Math.max(since, enrolledAt);
    const silentS = (now - heard) / 1000;
    return silentS >= silenceS ? [{ nodeId, silentS }] : [];
  });
}
