import type { EmitterState, Enrolment, Mark, NodeState, Pin } from '../../src/agent/node-state.ts';
import type { Envelope } from '../../src/contract/envelope.ts';

/**
 * A node's memory without a disk: simulated time does not wait for one, and a thousand nodes in one
 * process would share its fsyncs.
 */
export function memoryState(): NodeState {
  let enrolment: Enrolment | undefined;
  let mark: Mark = { epoch: 0, version: 0 };
  let pins: Readonly<Record<string, Pin>> = {};
  let handshakeDate = 0;
  let endpoint: string | null | undefined;
  let header: Envelope | undefined;
  let checkpoint: string | undefined;
  let cosigned: string | undefined;
  let emitter: EmitterState = { sequences: {}, observed_at: 0 };
  return {
    readEnrolment: () => enrolment,
    writeEnrolment: async (value) => {
      enrolment = value;
    },
    readMark: () => mark,
    writeMark: async (value) => {
      mark = value;
    },
    readPins: () => pins,
    writePins: async (value) => {
      pins = value;
    },
    readHandshakeDate: () => handshakeDate,
    writeHandshakeDate: async (value) => {
      handshakeDate = value;
    },
    readEndpoint: () => endpoint,
    writeEndpoint: async (value) => {
      endpoint = value;
    },
    readHeader: () => header,
    writeHeader: async (value) => {
      header = value;
    },
    keepSplitView: async () => {},
    readCheckpoint: () => checkpoint,
    writeCheckpoint: async (value) => {
      checkpoint = value;
    },
    readCosigned: () => cosigned,
    writeCosigned: async (value) => {
      cosigned = value;
    },
    keepForkedLog: async () => {},
    readEmitter: () => emitter,
    changeEmitter: async (change) => {
      emitter = change(emitter);
    },
    close: async () => {},
  };
}
