import type { Schedule } from './schedule.ts';

/** One short way to each rule, so that even a run of seconds would see it broken. */
export const RULES: readonly Schedule[] = [
  // Cut off, a node and one that is denied meanwhile: until the lifetime is over, and no longer. It
  // counts from the request, and answers take their time.
  {
    seed: 1,
    nodes: 3,
    epochS: 4,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'delay', datagrams: 1, calls: 400, duplication: 0 },
      { kind: 'pass', ms: 5000 },
      { kind: 'cut', node: 0, told: false },
      { kind: 'cut', node: 2, told: true },
      { kind: 'pass', ms: 16_000 },
    ],
  },
  // The same asleep: a lifetime goes on, and is over before the node can ask for more.
  {
    seed: 5,
    nodes: 3,
    epochS: 4,
    pairwiseUpTo: 256,
    flows: 'one way',
    steps: [
      { kind: 'cut', node: 1, told: false },
      { kind: 'suspend', node: 1, ms: 15_000 },
      { kind: 'pass', ms: 17_000 },
    ],
  },
  // Out and in again while another node hears nothing of either: the old keypairs are not taken up.
  {
    seed: 2,
    nodes: 3,
    epochS: 4,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'cut', node: 0, told: false },
      { kind: 'deny', node: 2, promptly: true },
      { kind: 'pass', ms: 500 },
      { kind: 'admit', node: 2, promptly: true },
      { kind: 'pass', ms: 500 },
    ],
  },
  // An epoch that no event tells of: whoever polls learns of it.
  {
    seed: 6,
    nodes: 3,
    epochS: 30,
    pairwiseUpTo: 256,
    flows: 'none',
    steps: [{ kind: 'lose', datagrams: 0, events: 1, calls: 0 }, { kind: 'rotate' }],
  },
  // Events overtake answers: a config from before a denial comes after it.
  {
    seed: 18,
    nodes: 4,
    epochS: 30,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'delay', datagrams: 1, calls: 2000, duplication: 0 },
      { kind: 'rotate' },
      { kind: 'deny', node: 2, promptly: true },
      { kind: 'pass', ms: 3000 },
      { kind: 'rotate' },
      { kind: 'deny', node: 3, promptly: true },
      { kind: 'pass', ms: 3000 },
    ],
  },
  // Excluded by an epoch that the controller committed and told nobody of; the event never comes.
  {
    seed: 3,
    nodes: 4,
    epochS: 4,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'lose', datagrams: 0.1, events: 1, calls: 0.1 },
      { kind: 'deny', node: 3, promptly: false },
      { kind: 'pass', ms: 1500 },
      { kind: 'crash', ms: 2000, silent: true, atCommit: true },
      { kind: 'pass', ms: 6000 },
    ],
  },
  // What a suspend leaves behind, with everything doubled and out of order.
  {
    seed: 4,
    nodes: 3,
    epochS: 6,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'delay', datagrams: 200, calls: 900, duplication: 0.5 },
      { kind: 'suspend', node: 1, ms: 5000 },
      { kind: 'pass', ms: 4000 },
      { kind: 'clock', node: 0, ms: -600_000 },
      { kind: 'restart', node: 0, ms: 1000 },
      { kind: 'pass', ms: 4000 },
    ],
  },
  // A controller that tells a node other stories, and somebody who keeps its leases from another one: that
  // one keeps nobody for longer than its last lease, though epochs and keys go on being pushed to it.
  {
    seed: 7,
    nodes: 3,
    epochS: 4,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'lie', node: 0, lie: 'split' },
      { kind: 'lie', node: 0, lie: 'skip' },
      { kind: 'lie', node: 1, lie: 'replay' },
      { kind: 'lie', node: 1, lie: 'jump' },
      { kind: 'tamper', node: 2, what: 'lease', how: 'replay' },
      { kind: 'pass', ms: 3000 },
      { kind: 'deny', node: 0, promptly: true },
      { kind: 'pass', ms: 16_000 },
    ],
  },
];

/** Found by random schedules. */
export const FOUND: readonly Schedule[] = [
  // A node that woke up expired its sessions, had nothing to send, and stayed out of reach.
  {
    seed: 1_080_119_515,
    nodes: 3,
    epochS: 30,
    pairwiseUpTo: null,
    flows: 'none',
    steps: [
      { kind: 'suspend', node: 1, ms: 2963 },
      { kind: 'heal' },
      { kind: 'pass', ms: 1700 },
      { kind: 'rotate' },
    ],
  },
  {
    seed: 67_258_604,
    nodes: 4,
    epochS: 30,
    pairwiseUpTo: null,
    flows: 'none',
    steps: [
      { kind: 'clock', node: 1, ms: 105_398 },
      { kind: 'admit', node: 2, promptly: true },
      { kind: 'suspend', node: 3, ms: 3726 },
      { kind: 'heal' },
      { kind: 'pass', ms: 3143 },
      { kind: 'suspend', node: 3, ms: 9150 },
      { kind: 'heal' },
    ],
  },
  // A node that restarted waited for a first packet, which was sent on a session that it had lost.
  {
    seed: 0,
    nodes: 3,
    epochS: 4,
    pairwiseUpTo: null,
    flows: 'none',
    steps: [
      { kind: 'calm' },
      { kind: 'restart', node: 0, ms: 1 },
      { kind: 'pass', ms: 45 },
      { kind: 'restart', node: 2, ms: 1 },
      { kind: 'cut', node: 0, told: false },
    ],
  },
  // A node that restarted while it was parted from another one had given that one's endpoint up.
  {
    seed: 0,
    nodes: 3,
    epochS: 4,
    pairwiseUpTo: null,
    flows: 'none',
    steps: [
      { kind: 'restart', node: 0, ms: 1 },
      { kind: 'part', node: 1, from: 0 },
      { kind: 'pass', ms: 1774 },
      { kind: 'pass', ms: 3383 },
      { kind: 'calm' },
      { kind: 'deny', node: 0, promptly: false },
    ],
  },
  // Told the number of an epoch before its removals, a node applied none of them for two round trips.
  {
    seed: 0,
    nodes: 3,
    epochS: 6,
    pairwiseUpTo: null,
    flows: 'both',
    steps: [
      { kind: 'cut', node: 0, told: false },
      { kind: 'pass', ms: 4205 },
      { kind: 'pass', ms: 5734 },
      { kind: 'pass', ms: 2514 },
      { kind: 'crash', ms: 1, silent: false, atCommit: true },
    ],
  },
  // Out in an epoch whose header had to be asked for, in again later: the node that had missed it heard of
  // the exclusion when it knew newer epochs already, and kept the peer with its old keypairs until then.
  {
    seed: 1_100_077_384,
    nodes: 3,
    epochS: 6,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'deny', node: 1, promptly: false },
      { kind: 'lose', datagrams: 0, events: 1, calls: 0 },
      { kind: 'delay', datagrams: 52, calls: 1524, duplication: 0 },
      { kind: 'admit', node: 0, promptly: true },
      { kind: 'pass', ms: 6152 },
      { kind: 'deny', node: 0, promptly: false },
      { kind: 'pass', ms: 2239 },
      { kind: 'deny', node: 0, promptly: false },
      { kind: 'lose', datagrams: 0, events: 0, calls: 0 },
      { kind: 'rotate' },
      { kind: 'deny', node: 0, promptly: true },
      { kind: 'admit', node: 1, promptly: true },
    ],
  },
  // A slow answer moved the end of a wait to within a rounding error of now: simulated time stood still.
  {
    seed: 829_496_823,
    nodes: 3,
    epochS: 4,
    pairwiseUpTo: 256,
    flows: 'both',
    steps: [
      { kind: 'pass', ms: 5323 },
      { kind: 'pass', ms: 1929 },
      { kind: 'lose', datagrams: 0, events: 1, calls: 0 },
      { kind: 'delay', datagrams: 58, calls: 605, duplication: 0 },
      { kind: 'delay', datagrams: 71, calls: 613, duplication: 0 },
      { kind: 'pass', ms: 3545 },
      { kind: 'restart', node: 0, ms: 2136 },
      { kind: 'suspend', node: 1, ms: 2155 },
      { kind: 'suspend', node: 2, ms: 2324 },
      { kind: 'restart', node: 1, ms: 1267 },
      { kind: 'pass', ms: 4732 },
    ],
  },
];
