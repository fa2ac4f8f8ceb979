import type { EmitterState, Enrolment, Mark, NodeState, Pin } from '../../src/agent/node-state.ts';

/** A node's memory that is not on a disk: a thousand nodes of one process would share its fsyncs. */
export function memoryState(): NodeState {
  let enrolment: Enrolment | undefined;
  let mark: Mark = { epoch: 0, version: 0 };
  let pins: Readonly<Record<string, Pin>> = {};
  let emitter: EmitterState = { sequences: {}, observed_at: 0 };
  return {
    readEnrolment: () => enrolment,
    writeEnrolment: (value) => {
      enrolment = value;
    },
    readMark: () => mark,
    writeMark: (value) => {
      mark = value;
    },
    readPins: () => pins,
    writePins: (value) => {
      pins = value;
    },
    readEmitter: () => emitter,
    writeEmitter: (value) => {
      emitter = value;
    },
  };
}
