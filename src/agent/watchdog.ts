import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A process of its own that empties a foreign device when this one dies (its standard input ends,
 * however that comes) or does not renew the lease in time (hung, stopped, lifetime over). It runs
 * in its own session, so that what kills the agent's process group leaves it alone.
 */
export class Watchdog {
  /** Settles if the watchdog ends without being told to: nobody guards the device then. */
  readonly lost: Promise<void>;
  private readonly process: ChildProcess;
  private released = false;

  constructor(socket: string) {
    // Published builds have .js files, sources .ts: the neighbour has this module's own ending.
    const url = new URL(`./watchdog-process${extname(import.meta.url)}`, import.meta.url);
    this.process = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--disable-sigusr1', fileURLToPath(url), socket],
      { stdio: ['pipe', 'ignore', 'inherit'], detached: true },
    );
    this.process.stdin?.on('error', () => {});
    this.lost = new Promise((resolve) => {
      const gone = () => {
        if (!this.released) resolve();
      };
      this.process.on('error', gone);
      this.process.on('exit', gone);
    });
  }

  /** The device may stay open until then: boot clock, seconds. */
  lease(until: number): void {
    this.process.stdin?.write(`${until}\n`);
  }

  /** The device was emptied in good order: there is nothing left to guard. */
  release(): void {
    this.released = true;
    this.process.stdin?.end('released\n');
  }
}
