import type { ConfigDocument } from '../contract/config.ts';
import { toBase64 } from '../contract/encoding.ts';
import type { KeyRecord } from '../contract/key-record.ts';
import type { Pin } from './node-state.ts';

/** True if the record does not contradict what is pinned for its node. */
export type PinCheck = (record: KeyRecord) => boolean;

type Pins = Readonly<Record<string, Pin>>;

/**
 * Pinning: the first key record seen of a node is the only one accepted for it. The pin is let go
 * only after an admin removed the node from the mesh for good: it was missing from the roster (which
 * also lists the denied) for a whole config lifetime, during which the controller may not give
 * the name away again. So a controller can present new keys for an old name only at the price of an
 * absence that everyone sees.
 */
export function pinCheck(pins: Pins): PinCheck {
  return (record) => {
    const pin = Object.hasOwn(pins, record.nodeId) ? pins[record.nodeId] : undefined;
    return pin === undefined || matches(pin, record);
  };
}

/** The pins after a config was accepted; the same object if nothing changed. */
export function updatePins(
  pins: Pins,
  config: Pick<ConfigDocument, 'epoch' | 'roster' | 'lifetime_s' | 'epoch_s'>,
  records: readonly KeyRecord[],
): Pins {
  const next = new Map(Object.entries(pins));
  const present = new Set(config.roster.map((entry) => entry.node_id));
  const lifetimeEpochs = Math.ceil(config.lifetime_s / config.epoch_s);
  let changed = false;
  for (const [nodeId, pin] of next) {
    const missing = present.has(nodeId) ? null : (pin.missing_since ?? config.epoch);
    if (missing !== null && config.epoch > missing + lifetimeEpochs) {
      next.delete(nodeId);
      changed = true;
    } else if (missing !== pin.missing_since) {
      next.set(nodeId, { ...pin, missing_since: missing });
      changed = true;
    }
  }
  for (const record of records) {
    if (next.has(record.nodeId)) continue;
    next.set(record.nodeId, pinOf(record));
    changed = true;
  }
  return changed ? Object.fromEntries(next) : pins;
}

function pinOf(record: KeyRecord): Pin {
  return {
    wireguard: toBase64(record.wireguard),
    signing: toBase64(record.signing),
    sealing: toBase64(record.sealing),
    missing_since: null,
  };
}

function matches(pin: Pin, record: KeyRecord): boolean {
  const found = pinOf(record);
  return (
    found.wireguard === pin.wireguard &&
    found.signing === pin.signing &&
    found.sealing === pin.sealing
  );
}
