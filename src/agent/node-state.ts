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
import { atLeast, exactly, type FromSchema, mapOf } from '../contract/from-schema.ts';
import { type ForkedLog, forkedLogsSchema } from '../contract/record/forked-logs.ts';
import { type Schema, violation } from '../contract/schema.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { readJsonFile, replaceFile } from '../ground/files.ts';

/** What an enrolled node knows for good. Nothing in it is secret; keys are files of their own. */
const enrolmentSchema = exactly({
  mesh_id: bytes32Field,
  node_id: nodeIdField,
  /** Pinned: the Ed25519 key that signs this mesh's configs and events. */
  controller_key: bytes32Field,
  tunnel_address: tunnelAddressField,
  tunnel_prefix: tunnelPrefixField,
  /** Length of an epoch and of the grace for its keypairs, seconds. */
  epoch_s: secondsField,
  grace_s: secondsField,
  /** UDP port that the mesh was told, so that a restart can be found there again. */
  listen_port: { type: 'integer', minimum: 1, maximum: 65_535 },
});

export type Enrolment = FromSchema<typeof enrolmentSchema>;

const markSchema = exactly({ epoch: counterField, version: counterField });

export type Mark = FromSchema<typeof markSchema>;

const keysSchema = atLeast({
  wireguard: bytes32Field,
  signing: bytes32Field,
  sealing: bytes32Field,
});

/** Seconds of our boot clock for which the node has been missing from the roster; null: it is there. */
const missingField = { type: ['number', 'null'], minimum: 0 } as const satisfies Schema;

const pinsSchema = mapOf({
  ...keysSchema,
  properties: { ...keysSchema.properties, missing_s: missingField },
});

/** Pinned key record of another member. */
export type Pin = Required<FromSchema<typeof pinsSchema>[string]>;

export const emitterSchema = exactly(
  {
    /** Last sequence that may have been sent, per suite. */
    sequences: mapOf(counterField),
    /** Last `observed_at`: observations never step back in time, whatever the wall clock does. */
    observed_at: counterField,
  },
  {
    /** Date of the newest result that a harness has dated and that was delivered, per suite. */
    reported: mapOf(counterField),
  },
);

export type EmitterState = FromSchema<typeof emitterSchema>;

const handshakesSchema = atLeast({ dated_until: counterField });
const endpointSchema = atLeast({ endpoint: endpointField });

/** A checkpoint of the log that extends those before. */
const checkpointSchema = exactly({ checkpoint: { type: 'string', maxLength: 65_536 } });

/** Two signed headers that cannot both be true. */
const splitViewSchema = exactly({ held: envelopeSchema, other: envelopeSchema });

export type SplitView = FromSchema<typeof splitViewSchema>;

const KEPT_SPLIT_VIEWS = 16;
const KEPT_FORKED_LOGS = 16;

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
  /**
   * The one place that the mesh was told last; null: none, or several. Undefined: what it was told at
   * enrolment.
   */
  readEndpoint(): string | null | undefined;
  writeEndpoint(value: string | null): Promise<void>;
  /** The newest header that was taken, as it was signed; undefined before the first. */
  readHeader(): Envelope | undefined;
  writeHeader(value: Envelope): Promise<void>;
  /** Keeps the evidence of a controller that tells two stories, and of the last few before it. */
  keepSplitView(value: SplitView): Promise<void>;
  /** A signed note; undefined before the first. */
  readCheckpoint(): string | undefined;
  writeCheckpoint(value: string): Promise<void>;
  /** The newest checkpoint that this node has cosigned as a witness; undefined before the first. */
  readCosigned(): string | undefined;
  writeCosigned(value: string): Promise<void>;
  /** Evidence: kept for people, never read again. */
  keepForkedLog(value: ForkedLog): Promise<void>;
  readEmitter(): EmitterState;
  /** One change after the other, each from what the one before left. */
  changeEmitter(change: (before: EmitterState) => EmitterState): Promise<void>;
  /**
   * Resolves when nothing is written any more: what was asked for before is done, what is asked for later is
   * refused. Whoever has the directory next, or deletes it, has it alone.
   */
  close(): Promise<void>;
}

/** A directory of files, made with mode 0700. */
export function openNodeState(directory: string): NodeState {
  ensurePrivateDirectory(directory);
  const path = (name: string) => join(directory, name);

  function read<const S extends Schema>(name: string, schema: S): FromSchema<S> | undefined {
    const value = readJsonFile(path(name));
    if (value === undefined) return undefined;
    const bad = violation(schema, value);
    if (bad) throw new Error(`${path(name)}: ${bad.field || 'content'} is not ${bad.expected}`);
    return value as FromSchema<S>;
  }

  /** Version 0.1 counted in epochs there (`missing_since`): the wait starts anew. */
  function pinsOnDisk(): Readonly<Record<string, Pin>> {
    return Object.fromEntries(
      Object.entries(read('pins.json', pinsSchema) ?? {}).map(
        ([nodeId, { wireguard, signing, sealing, missing_s = null }]) => [
          nodeId,
          { wireguard, signing, sealing, missing_s },
        ],
      ),
    );
  }

  // Read once: this process is the only one to write them (lock.ts).
  let enrolment = read('enrolment.json', enrolmentSchema);
  let mark = read('mark.json', markSchema) ?? { epoch: 0, version: 0 };
  let pins = pinsOnDisk();
  let handshakeDate = read('handshakes.json', handshakesSchema)?.dated_until ?? 0;
  let endpoint = read('endpoint.json', endpointSchema)?.endpoint;
  let header = read('header.json', envelopeSchema);
  let checkpoint = read('log.json', checkpointSchema)?.checkpoint;
  let cosigned = read('cosigned.json', checkpointSchema)?.checkpoint;
  let emitter = read('emitter.json', emitterSchema) ?? NOTHING_SENT;
  let emitterTurn: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  let last: Promise<void> = Promise.resolve(); // one is done after the other
  const write = (name: string, value: unknown): Promise<void> => {
    if (isClosed) return Promise.reject(new Error('not written: the node has ended'));
    last = replaceFile(path(name), `${JSON.stringify(value)}\n`);
    return last;
  };

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
      if (value === endpoint) return;
      await write('endpoint.json', { endpoint: value });
      endpoint = value;
    },
    readHeader: () => header,
    async writeHeader(value) {
      await write('header.json', value);
      header = value;
    },
    async keepSplitView(value) {
      const before = read('split-views.json', { type: 'array', items: splitViewSchema }) ?? [];
      await write('split-views.json', [...before, value].slice(-KEPT_SPLIT_VIEWS));
    },
    readCheckpoint: () => checkpoint,
    async writeCheckpoint(value) {
      await write('log.json', { checkpoint: value });
      checkpoint = value;
    },
    readCosigned: () => cosigned,
    async writeCosigned(value) {
      await write('cosigned.json', { checkpoint: value });
      cosigned = value;
    },
    async keepForkedLog(value) {
      const before = read('forked-logs.json', forkedLogsSchema) ?? [];
      await write('forked-logs.json', [...before, value].slice(-KEPT_FORKED_LOGS));
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
    close() {
      isClosed = true;
      return last.catch(() => {}); // whoever asked for that is told
    },
  };
}
