import { type MeshNode, senderOf } from './mesh.ts';
import type { TrafficReport } from './traffic-process.ts';

/** Packets between two nodes, both ways together. */
export interface Delivery {
  readonly sent: number;
  /** Missing at the receiving program, less those that it was too slow to take itself. */
  readonly lost: number;
  readonly duplicated: number;
  readonly late: number;
  /** Taken by the tunnel, given out at the other end, and then no room in the program's socket. */
  readonly dropped_by_receiving_socket: number;
  /** Never taken by a tunnel: its interface's queue was full. Among the lost. */
  readonly dropped_by_interface: number;
  readonly longest_gap_ms: number;
}

/** What two nodes' traffic generators say of each other. */
export function deliveryBetween(
  nodes: readonly [MeshNode, MeshNode],
  reports: readonly [TrafficReport, TrafficReport],
): Delivery {
  const flows = [0, 1].map((i) => {
    const from = senderOf(nodes[1 - i]!);
    return reports[i]!.received.find((flow) => flow.sender === from)!;
  });
  const sum = (pick: (flow: (typeof flows)[number]) => number) =>
    flows.reduce((total, flow) => total + pick(flow), 0);
  const dropped = sum((flow) => flow.droppedBySocket);
  return {
    sent: sum((flow) => flow.received + flow.missing - flow.duplicated),
    lost: sum((flow) => flow.missing) - dropped,
    duplicated: sum((flow) => flow.duplicated),
    late: sum((flow) => flow.late),
    dropped_by_receiving_socket: dropped,
    dropped_by_interface: reports[0].droppedByInterface + reports[1].droppedByInterface,
    longest_gap_ms: Math.max(...flows.map((flow) => flow.longestGapMs)),
  };
}
