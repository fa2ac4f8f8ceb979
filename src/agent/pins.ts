import type { ConfigDocument } from '../contract/config.ts';
import { type KeyRecord, keyTexts } from '../contract/key-record.ts';
import type { Pin } from './node-state.ts';

/**
 * `fits`      what is pinned, or the first key record of a name
 * `changed`   another one, of a name whose pin may be let go of: taken, and said
 * `refused`   another one
 */
export type PinVerdict = 'fits' | 'changed' | 'refused';
export interface PinCheck {
  (record: KeyRecord): PinVerdict;
  /** The same ones say the same of a record, but for `changed`, which needs its time. */
  readonly pins: Pins;
}

export type Pins = Readonly<Record<string, Pin>>;

/** How many epochs (of the length that the mesh had at enrolment) a name must have been away. */
const ABSENT_EPOCHS = 3;

/**
 * Pinning: the first key record seen of a node is the only one accepted for it. The pin is let go
 * only after an admin removed the node from the mesh for good: it was missing from the roster (which
 * also lists the denied) for so long that the controller could give the name away again. That time
 * is this node's own, counted on its boot clock and kept on its disk: a controller that counts epochs
 * up, or says that they are short, does not shorten it. A key that was let go of is remembered, so that
 * a new one of a known name is always told of.
 */
export function pinCheck(pins: Pins, epochS: number): PinCheck {
  const check = (record: KeyRecord): PinVerdict => {
    const pin = Object.hasOwn(pins, record.nodeId) ? pins[record.nodeId] : undefined;
    if (pin === undefined || matches(pin, record)) return 'fits';
    return isLetGo(pin, epochS) ? 'changed' : 'refused';
  };
  return Object.assign(check, { pins });
}

/** Whether some of them change with time alone. */
export function isAnybodyMissing(pins: Pins, epochS: number): boolean {
  return Object.values(pins).some((pin) => pin.missing_s !== null && !isLetGo(pin, epochS));
}

/**
 * The pins after a config was accepted; the same object if nothing changed. `passedS`: seconds on the
 * boot clock since the config before it, 0 for the first one of this process.
 */
export function updatePins(
  pins: Pins,
  config: Pick<ConfigDocument, 'roster'>,
  records: readonly KeyRecord[],
  epochS: number,
  passedS: number,
): Pins {
  const next = new Map<string, Pin>();
  const present = new Set(config.roster.map((entry) => entry.node_id));
  for (const nodeId in pins) {
    const pin = pins[nodeId]!;
    if (isLetGo(pin, epochS)) continue; // until the name is back as a member, with whatever key
    // It is away from the first config without it on; a moment of presence starts the wait anew.
    const missing = present.has(nodeId) ? null : (pin.missing_s ?? -passedS) + passedS;
    if (missing === pin.missing_s) continue;
    next.set(nodeId, { ...pin, missing_s: missing });
  }
  for (const record of records) {
    const { nodeId } = record;
    const pin = next.get(nodeId) ?? (Object.hasOwn(pins, nodeId) ? pins[nodeId] : undefined);
    if (pin !== undefined && pin.missing_s === null && matches(pin, record)) continue;
    next.set(nodeId, { ...keyTexts(record), missing_s: null }); // those of refused peers are not among them
  }
  return next.size > 0 ? { ...pins, ...Object.fromEntries(next) } : pins;
}

function isLetGo(pin: Pin, epochS: number): boolean {
  return (pin.missing_s ?? 0) >= ABSENT_EPOCHS * epochS;
}

function matches(pin: Pin, record: KeyRecord): boolean {
  const found = keyTexts(record);
  return (
    found.wireguard === pin.wireguard &&
    found.signing === pin.signing &&
    found.sealing === pin.sealing
  );
}
