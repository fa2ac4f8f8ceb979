import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { POLLIN } from '../../io/linux/constants.ts';
import { ERRNO, SystemCallError } from '../../io/linux/errno.ts';
import { NativeBuffer, type Syscalls, syscalls } from '../../io/linux/syscalls.ts';
import type { Batch, Report } from './messages.ts';
import type { Signals } from './signals.ts';

const POLLFD_LENGTH = 8; // struct pollfd { i32 fd; i16 events; i16 revents }
const NO_TIMEOUT = -1;
/** Place of the eventfd, in front of the caller's descriptors. */
const CONTROL = -1;

/**
 * A worker's side of the line to control: waits for its descriptors and for control in one poll,
 * and takes control's batches. Nothing else in a worker blocks.
 */
export class Mailbox<Operation> {
  private readonly port: MessagePort;
  private readonly signals: Signals;
  private readonly thread: number;
  private readonly apply: (operation: Operation) => void;
  private readonly calls: Syscalls = syscalls();
  private readonly wakeFd: number;
  private readonly fds: NativeBuffer;
  private readonly fdsAt: bigint;
  private readonly fdCount: bigint;
  private readonly wakeValue = new NativeBuffer(8);
  private readonly wakeValueAt = this.wakeValue.at(0);
  private seenBatches = 0;

  /** `fds`: what to wait for besides control; -1 waits for nothing. */
  constructor(
    port: MessagePort,
    signals: Signals,
    thread: number,
    wakeFd: number,
    fds: readonly number[],
    apply: (operation: Operation) => void,
  ) {
    this.port = port;
    this.signals = signals;
    this.thread = thread;
    this.apply = apply;
    this.wakeFd = wakeFd;
    this.fds = new NativeBuffer((fds.length + 1) * POLLFD_LENGTH);
    this.fdsAt = this.fds.at(0);
    this.fdCount = BigInt(fds.length + 1);
    [wakeFd, ...fds].forEach((fd, i) => {
      this.watch(CONTROL + i, fd);
    });
  }

  /** Waits for `fd` at place `i` of the constructor's list from now on. */
  watch(i: number, fd: number): void {
    const at = (i + 1) * POLLFD_LENGTH;
    this.fds.view.setInt32(at, fd, true);
    this.fds.view.setInt16(at + 4, POLLIN, true);
  }

  /** Waits until a descriptor is ready or control wants something, or for `atMost` ms. */
  wait(atMost = NO_TIMEOUT): void {
    if (this.hasMail) return;
    for (;;) {
      const result = this.calls.poll(this.fdsAt, this.fdCount, atMost);
      if (result >= 0) break;
      if (result !== -ERRNO.EINTR) throw new SystemCallError('poll', -result);
    }
    // Emptied here and not where mail is taken: mail may be seen before its wake-up is written,
    // and that one would then keep poll from ever waiting again.
    if (this.ready(CONTROL) !== 0) this.calls.eventfdRead(this.wakeFd, this.wakeValueAt);
  }

  /** What the last `wait` found at place `i` (poll's revents). */
  ready(i: number): number {
    return this.fds.view.getInt16((i + 1) * POLLFD_LENGTH + 6, true);
  }

  get stopped(): boolean {
    return this.signals.stopped;
  }

  get hasMail(): boolean {
    return this.signals.batches(this.thread) !== this.seenBatches || this.signals.stopped;
  }

  /** Carries out what control has posted. False if the worker is to end. */
  process(): boolean {
    if (this.hasMail) {
      this.seenBatches = this.signals.batches(this.thread);
      for (;;) {
        if (this.signals.stopped) return false;
        const received = receiveMessageOnPort(this.port) as
          | { message: Batch<Operation> }
          | undefined;
        if (received === undefined) break;
        const { number, acknowledge, operations } = received.message;
        for (const operation of operations) this.apply(operation);
        if (acknowledge) this.report({ report: 'done', number });
      }
    }
    return !this.signals.stopped;
  }

  report(report: Report): void {
    this.port.postMessage(report);
  }
}
