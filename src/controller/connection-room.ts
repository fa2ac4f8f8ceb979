/**
 * Connections of a member: its stream, one or two kept open for requests, and one that its end has given
 * up and this one has not noticed yet.
 */
const PER_MEMBER = 4;
/** However small the mesh: who is no member takes connections, too. */
const FEWEST = 4096;
/** Descriptors that are no connections: database, sockets, files that are being written. */
const OTHER_DESCRIPTORS = 256;

/** How many connections a controller takes. */
export interface ConnectionRoom {
  /** Streams and requests together; more are turned away, so that memory and descriptors last. */
  readonly connections: number;
  /** Members that this is enough for. */
  readonly members: number;
  /** Descriptors that the process needs for as many members as there are addresses. */
  readonly descriptorsNeeded: number;
}

/** `addresses`: of the mesh, one a member. `descriptors`: most that the process may have open. */
export function connectionRoom(addresses: number, descriptors: number): ConnectionRoom {
  const wanted = Math.max(FEWEST, PER_MEMBER * addresses);
  const connections = Math.max(1, Math.min(wanted, descriptors - OTHER_DESCRIPTORS));
  return {
    connections,
    members: Math.min(addresses, Math.floor(connections / PER_MEMBER)),
    descriptorsNeeded: PER_MEMBER * addresses + OTHER_DESCRIPTORS,
  };
}
