import { CallError } from './controller-answer.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';

/** Which calls to the controller fail: each change is told once, each failure counted. */
export class CallReports {
  private readonly counters: Counters;
  private readonly emit: EmitEvent;
  /** Calls that failed last time. */
  private readonly failing = new Set<string>();

  constructor(counters: Counters, emit: EmitEvent) {
    this.counters = counters;
    this.emit = emit;
  }

  failed(call: string, error: unknown): void {
    const code = error instanceof CallError ? error.code : 'failed';
    this.counters.add(`controller_${call}_failures`);
    if (this.failing.has(call)) return;
    this.failing.add(call);
    const detail = error instanceof Error ? error.message : String(error);
    this.emit({ event: 'controller', call, ok: false, code, detail });
  }

  succeeded(call: string): void {
    if (this.failing.delete(call)) this.emit({ event: 'controller', call, ok: true });
  }
}
