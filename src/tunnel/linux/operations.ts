import type { AllowedIps } from '../../datapath/allowedips.ts';
import type { DataPathControl } from '../../datapath/sinks.ts';
import { callScratch, syscalls } from '../../io/linux/syscalls.ts';
import type { InboundOperation } from './messages.ts';
import { applyRouteChanges } from './routes.ts';

const IOVEC_LENGTH = 16;

/** A worker's half of the data path, as far as both halves are alike. */
export interface DataPathHalf extends DataPathControl {
  addTraffic(peer: number, bytes: number): void;
}

/** Carries out an operation that both workers know. */
export function applyShared(
  path: DataPathHalf,
  allowedIps: AllowedIps,
  operation: InboundOperation,
): void {
  switch (operation.op) {
    case 'addPeer':
      path.addPeer(operation.peer);
      break;
    case 'removePeer':
      path.removePeer(operation.peer);
      break;
    case 'installKeypair':
      path.installKeypair(operation.slot);
      break;
    case 'removeKeypair':
      path.removeKeypair(operation.slot);
      break;
    case 'changeRoutes':
      applyRouteChanges(operation.changes, allowedIps);
      break;
    case 'addTraffic':
      path.addTraffic(operation.peer, operation.bytes);
      break;
    case 'pass':
      break;
  }
}

/** Takes and discards what is queued on a non-blocking socket. */
export function drain(fd: number): void {
  const buffer = callScratch();
  buffer.storeAddress(buffer.view, 0, IOVEC_LENGTH);
  buffer.view.setUint32(8, buffer.u8.length - IOVEC_LENGTH, true);
  while (syscalls().readv(fd, buffer.at(0), 1) > 0);
}
