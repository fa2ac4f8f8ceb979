import { printable, printableJson } from '../contract/printable.ts';
import { describeControllerEvent } from '../controller/describe-event.ts';
import type { StampedEvent } from '../controller/events.ts';
import { adminLines } from './admin-client.ts';
import type { AdminOptions } from './answer.ts';
import { standardOutput } from './standard-output.ts';
import { stopSignal } from './stop-signal.ts';

export interface EventsOptions extends AdminOptions {
  readonly follow?: boolean;
  readonly all?: boolean;
}

/** `meshnet events`: one line for each. Followed, it ends with a signal, or fails with the controller. */
export async function showEvents(options: EventsOptions): Promise<void> {
  const line = (text: string) => (options.json ? printableJson(text) : forPeople(text));
  if (!options.follow) {
    const print = (text: string) => void process.stdout.write(`${line(text)}\n`);
    return adminLines(options, '/v1/events', print, new AbortController().signal);
  }
  const signal = stopSignal({ withStdin: false, withStdout: true });
  const output = standardOutput();
  const path = `/v1/events?follow=true${options.all ? '&routine=true' : ''}`;
  await adminLines(options, path, (text) => output.write(`${line(text)}\n`), signal);
}

/** What follows a gap: see the controller's `followEvents`. */
interface Missed {
  readonly event: 'missed';
  readonly count: number;
}

function forPeople(text: string): string {
  const event = JSON.parse(text) as StampedEvent | Missed;
  if (event.event === 'missed') return `... ${event.count} events came too fast and were missed`;
  // A controller of another version may know events that this program does not.
  const sentence: string | undefined = describeControllerEvent(event);
  return printable(`${new Date(event.at).toISOString()} ${sentence ?? text}`);
}
