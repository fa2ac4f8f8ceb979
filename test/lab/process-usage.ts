import { readdirSync, readFileSync } from 'node:fs';

/** sysconf(_SC_CLK_TCK) is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface CpuTime {
  /** Seconds, all threads of the process, those that have ended included. */
  readonly user: number;
  readonly system: number;
}

export function cpuTime(pid: number): CpuTime {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Fields are counted behind the command name, which may have spaces and brackets in it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    user: Number(fields[11]) / TICKS_PER_SECOND,
    system: Number(fields[12]) / TICKS_PER_SECOND,
  };
}

/** What a thread has done since its start; times in seconds. */
export interface ThreadUsage {
  readonly id: number;
  readonly name: string;
  readonly running: number;
  /** Of `running`, in the kernel, in hundredths. */
  readonly system: number;
  /** Ready to run, without a processor. */
  readonly waiting: number;
  /** Voluntary context switches, and the others. */
  readonly sleeps: number;
  readonly preemptions: number;
}

/** Of the threads that live now (proc(5): schedstat, stat, status). */
export function threadUsage(pid: number): ThreadUsage[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const read = (file: string) => readFileSync(`/proc/${pid}/task/${id}/${file}`, 'utf8');
    const [running = 0, waiting = 0] = read('schedstat').split(' ').map(Number);
    const stat = read('stat');
    const status = read('status');
    const count = (field: string) =>
      Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
    return {
      id: Number(id),
      name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
      running: running / 1e9,
      waiting: waiting / 1e9,
      system: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[12]) / TICKS_PER_SECOND,
      sleeps: count('voluntary_ctxt_switches'),
      preemptions: count('nonvoluntary_ctxt_switches'),
    };
  });
}

/** CPU seconds of the threads that live now, to the microsecond. */
export function cpuOfThreads(pid: number): number {
  return threadUsage(pid).reduce((sum, { running }) => sum + running, 0);
}

/** Resident memory in MB (VmRSS), and the most it ever was (VmHWM). */
export function residentMemory(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { now: kilobytes('VmRSS') / 1024, peak: kilobytes('VmHWM') / 1024 };
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
