import type { Worker } from 'node:worker_threads';
import { O_CLOEXEC, O_NONBLOCK } from '../../io/linux/constants.ts';
import { must } from '../../io/linux/errno.ts';
import { syscalls } from '../../io/linux/syscalls.ts';
import {
  type Batch,
  type InboundOperation,
  inboundThread,
  type OutboundOperation,
  outboundThread,
  type Report,
  threadCount,
  type WorkerSetup,
} from './messages.ts';
import { Signals, signalsBuffer } from './signals.ts';
import { sendSetup, takeThread, type WorkerModule } from './worker-threads.ts';

/** ms; threads end within one. */
const STOP_TIMEOUT = 2000;

/** All workers of this process, for its 'exit' event. */
const running = new Set<DataWorkers>();
function stopAll(): void {
  for (const workers of running) workers.raiseStop();
}

/** What the two workers of one lane have for themselves. */
export type Lane = Pick<WorkerSetup, 'tunFd' | 'udpFd'>;

export interface DataWorkersOptions {
  /** What all workers get. */
  readonly setup: Omit<WorkerSetup, 'signals' | 'wakeFd' | 'lane' | keyof Lane>;
  readonly lanes: readonly Lane[];
  readonly onReport: (thread: number, report: Report) => void;
  /** A worker ended without having been stopped. Called at most once. */
  readonly onCrash: (error: Error) => void;
}

/**
 * The data worker threads, two for each lane: start, wake, stop.
 *
 * A worker blocks in poll, where neither `terminate()` nor the end of the process reaches it. So
 * it is always asked: stop flag, then eventfd; also from the process's 'exit' event, which comes
 * before Node waits for its threads.
 */
export class DataWorkers {
  readonly signals: Signals;
  private readonly workers: Worker[] = [];
  private readonly wakeFds: number[] = [];
  private readonly ended: Promise<unknown>[] = [];
  private readonly options: DataWorkersOptions;
  private started = false;

  constructor(options: DataWorkersOptions) {
    this.options = options;
    this.signals = new Signals(signalsBuffer(threadCount(options.lanes.length)));
  }

  /** Resolves when all workers wait for packets. Rejects, with all ended, if one fails to start. */
  async start(): Promise<void> {
    running.add(this);
    if (running.size === 1) process.on('exit', stopAll);
    try {
      await Promise.all(
        this.options.lanes.flatMap((_, lane) => [
          this.startWorker(lane, outboundThread(lane), 'outbound-worker'),
          this.startWorker(lane, inboundThread(lane), 'inbound-worker'),
        ]),
      );
      this.started = true;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  private async startWorker(lane: number, thread: number, module: WorkerModule): Promise<void> {
    const wakeFd = must(syscalls().eventfd(0, O_NONBLOCK | O_CLOEXEC), 'eventfd');
    this.wakeFds[thread] = wakeFd;
    const { setup, lanes, onReport } = this.options;
    const { buffer } = this.signals;
    const whole: WorkerSetup = { ...setup, ...lanes[lane]!, lane, signals: buffer, wakeFd };
    const waiting = takeThread(module);
    const { worker } = waiting;
    this.workers[thread] = worker;
    const started = new Promise<void>((resolve, reject) => {
      worker.on('message', (report: Report) => {
        if (report.report === 'ready') resolve();
        onReport(thread, report);
      });
      worker.on('error', (error: unknown) => {
        const cause = error instanceof Error ? error : new Error(String(error));
        reject(cause);
        this.crash(new Error(`${module} failed: ${cause.message}`, { cause }));
      });
      this.ended[thread] = new Promise<void>((end) => {
        worker.on('exit', (code) => {
          end();
          const error = new Error(`${module} ended with code ${code}`);
          reject(error);
          this.crash(error);
        });
      });
    });
    sendSetup(waiting, whole);
    return started;
  }

  private crash(error: Error): void {
    if (!this.started || this.signals.stopped) return; // `start` or `stop` deals with it
    this.started = false;
    this.options.onCrash(error);
  }

  post(thread: number, batch: Batch<OutboundOperation> | Batch<InboundOperation>): void {
    this.workers[thread]?.postMessage(batch);
    this.signals.countBatch(thread);
    this.wake(thread);
  }

  private wake(thread: number): void {
    const fd = this.wakeFds[thread];
    if (fd !== undefined) syscalls().eventfdWrite(fd, 1n);
  }

  /** Asks all threads to end; they do so as soon as they are done with the packet in work. */
  raiseStop(): void {
    this.signals.raiseStop();
    this.wakeFds.forEach((_, thread) => {
      this.wake(thread);
    });
  }

  /** Resolves when all threads are gone. */
  async stop(): Promise<void> {
    this.raiseStop();
    // A thread caught in a loop never looks at the flag, but can be terminated: it is in no call.
    const terminate = setTimeout(() => {
      for (const worker of this.workers) void worker?.terminate();
    }, STOP_TIMEOUT);
    await Promise.all(this.ended);
    clearTimeout(terminate);
    running.delete(this);
    if (running.size === 0) process.off('exit', stopAll);
    for (const fd of this.wakeFds.splice(0)) syscalls().close(fd);
  }
}
