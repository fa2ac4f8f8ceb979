import { join } from 'node:path';
import { type Envelope, envelopeSchema } from '../contract/envelope.ts';
import {
  bytes32Field,
  counterField,
  endpointField,
  nodeIdField,
  secondsField,
  tunnelAddressField,
  tunnelPrefixField,
} from '../contract/fields.ts';
import { type Schema, violation } from '../contract/schema.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { readJsonFile, replaceFile } from '../ground/files.ts';

/** What an enrolled node knows for good. Nothing in it is secret; keys are files of their own. */
export interface Enrolment {
  readonly mesh_id: string;
  readonly node_id: string;
  /** Pinned: the Ed25519 key that signs this mesh's configs and events. */
  readonly controller_key: string;
  readonly tunnel_address: string;
  readonly tunnel_prefix: string;
  /** Length of an epoch and of the grace for its keypairs, seconds. */
  readonly epoch_s: number;
  readonly grace_s: number;
  /** UDP port that the mesh was told, so that a restart can be found there again. */
  readonly listen_port: number;
}

export interface Mark {
  readonly epoch: number;
  readonly version: number;
}

/** Pinned key record of another member. */
export interface Pin {
  readonly wireguard: string;
  readonly signing: string;
  readonly sealing: string;
  /** Seconds of our boot clock for which the node has been missing from the roster; null: it is there. */
  readonly missing_s: number | null;
}

export interface EmitterState {
  /** Last sequence that may have been sent, per suite. */
  readonly sequences: Readonly<Record<string, number>>;
  /** Last `observed_at`: observations never step back in time, whatever the wall clock does. */
  readonly observed_at: number;
  /** Date of the newest result that a harness has dated and that was delivered, per suite. */
  readonly reported?: Readonly<Record<string, number>>;
}

/** Two signed headers that cannot both be true. */
export interface SplitView {
  readonly held: Envelope;
  readonly other: Envelope;
}

const KEPT_SPLIT_VIEWS = 16;

/** Of a node that has never sent a score. */
export const NOTHING_SENT: EmitterState = { sequences: {}, observed_at: 0 };

/**
 * Durable memory of a node: what it must not forget over restarts, each in its own file. A write is on
 * the disk when its promise resolves; where it rejects, the old content stands.
 */
export interface NodeState {
  readEnrolment(): Enrolment | undefined;
  writeEnrolment(value: Enrolment): Promise<void>;
  /** Highest (epoch, version) seen. */
  readMark(): Mark;
  writeMark(value: Mark): Promise<void>;
  readPins(): Readonly<Record<string, Pin>>;
  writePins(value: Readonly<Record<string, Pin>>): Promise<void>;
  /** Wall clock, ms: no handshake was dated later than this before the last restart; 0: none was. */
  readHandshakeDate(): number;
  writeHandshakeDate(value: number): Promise<void>;
  /** What the mesh was told last of where this node is; undefined: what it was told at enrolment. */
  readEndpoint(): string | null | undefined;
  writeEndpoint(value: string | null): Promise<void>;
  /** The newest header that was taken, as it was signed; undefined before the first. */
  readHeader(): Envelope | undefined;
  writeHeader(value: Envelope): Promise<void>;
  /** Keeps the evidence of a controller that tells two stories, and of the last few before it. */
  keepSplitView(value: SplitView): Promise<void>;
  readEmitter(): EmitterState;
  /** One change after the other, each from what the one before left. */
  changeEmitter(change: (before: EmitterState) => EmitterState): Promise<void>;
}

const enrolmentFile: Schema = {
  type: 'object',
  required: [
    'mesh_id',
    'node_id',
    'controller_key',
    'tunnel_address',
    'tunnel_prefix',
    'epoch_s',
    'grace_s',
    'listen_port',
  ],
  additionalProperties: false,
  properties: {
    mesh_id: bytes32Field,
    node_id: nodeIdField,
    controller_key: bytes32Field,
    tunnel_address: tunnelAddressField,
    tunnel_prefix: tunnelPrefixField,
    epoch_s: secondsField,
    grace_s: secondsField,
    listen_port: { type: 'integer', minimum: 1, maximum: 65_535 },
  },
};

const markFile: Schema = {
  type: 'object',
  required: ['epoch', 'version'],
  additionalProperties: false,
  properties: { epoch: counterField, version: counterField },
};

const pin: Schema = {
  type: 'object',
  required: ['wireguard', 'signing', 'sealing'],
  properties: {
    wireguard: bytes32Field,
    signing: bytes32Field,
    sealing: bytes32Field,
    missing_s: { type: ['number', 'null'], minimum: 0 },
  },
};

const handshakesFile: Schema = {
  type: 'object',
  required: ['dated_until'],
  properties: { dated_until: counterField },
};

const endpointFile: Schema = {
  type: 'object',
  required: ['endpoint'],
  properties: { endpoint: endpointField },
};

const emitterFile: Schema = {
  type: 'object',
  required: ['sequences', 'observed_at'],
  additionalProperties: false,
  properties: {
    sequences: { type: 'object' },
    observed_at: counterField,
    reported: { type: 'object' },
  },
};

/** A directory of files, made with mode 0700. */
export function openNodeState(directory: string): NodeState {
  ensurePrivateDirectory(directory);
  const path = (name: string) => join(directory, name);

  function read<T>(name: string, schema: Schema): T | undefined {
    const value = readJsonFile(path(name));
    if (value === undefined) return undefined;
    const bad = violation(schema, value);
    if (bad) throw new Error(`${path(name)}: ${bad.field || 'content'} is not ${bad.expected}`);
    return value as T;
  }

  function pinsOnDisk(): Readonly<Record<string, Pin>> {
    const pins = read<Record<string, Pin>>('pins.json', { type: 'object' }) ?? {};
    for (const [nodeId, value] of Object.entries(pins)) {
      const bad = violation(pin, value, nodeId);
      if (bad) throw new Error(`${path('pins.json')}: ${bad.field} is not ${bad.expected}`);
    }
    // Version 0.1 counted in epochs there (`missing_since`): the wait starts anew.
    return Object.fromEntries(
      Object.entries(pins).map(([nodeId, { wireguard, signing, sealing, missing_s = null }]) => [
        nodeId,
        { wireguard, signing, sealing, missing_s },
      ]),
    );
  }

  // Read once: this process is the only one to write them (lock.ts).
  let enrolment = read<Enrolment>('enrolment.json', enrolmentFile);
  let mark = read<Mark>('mark.json', markFile) ?? { epoch: 0, version: 0 };
  let pins = pinsOnDisk();
  let handshakeDate =
    read<{ dated_until: number }>('handshakes.json', handshakesFile)?.dated_until ?? 0;
  let endpoint = read<{ endpoint: string | null }>('endpoint.json', endpointFile)?.endpoint;
  let header = read<Envelope>('header.json', envelopeSchema);
  let emitter = read<EmitterState>('emitter.json', emitterFile) ?? NOTHING_SENT;
  let emitterTurn: Promise<unknown> = Promise.resolve();
  const write = (name: string, value: unknown) =>
    replaceFile(path(name), `${JSON.stringify(value)}\n`);

  return {
    readEnrolment: () => enrolment,
    async writeEnrolment(value) {
      await write('enrolment.json', value);
      enrolment = value;
    },
    readMark: () => mark,
    async writeMark(value) {
      await write('mark.json', value);
      mark = value;
    },
    readPins: () => pins,
    async writePins(value) {
      await write('pins.json', value);
      pins = value;
    },
    readHandshakeDate: () => handshakeDate,
    async writeHandshakeDate(value) {
      await write('handshakes.json', { dated_until: value });
      handshakeDate = value;
    },
    readEndpoint: () => endpoint,
    async writeEndpoint(value) {
      await write('endpoint.json', { endpoint: value });
      endpoint = value;
    },
    readHeader: () => header,
    async writeHeader(value) {
      await write('header.json', value);
      header = value;
    },
    async keepSplitView(value) {
      const before = read<readonly SplitView[]>('split-views.json', { type: 'array' }) ?? [];
      await write('split-views.json', [...before, value].slice(-KEPT_SPLIT_VIEWS));
    },
    readEmitter: () => emitter,
    changeEmitter(change) {
      const turn = emitterTurn.then(async () => {
        const value = change(emitter);
        await write('emitter.json', value);
        emitter = value;
      });
      emitterTurn = turn.catch(() => {}); // whoever asked for that change is told
      return turn;
    },
  };
}
