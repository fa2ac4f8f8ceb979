import type { AgentEvent } from '../agent/events.ts';
import { printable, printableJson } from '../contract/printable.ts';

import { describeControllerEvent, type StampedEvent } from '../controller/events.ts';
import { adminLines, hasController } from './admin-client.ts';
import type { AdminOptions } from './answer.ts';
import { nodeLines } from './node-client.ts';
import { describeEvent } from './node-events.ts';
import { standardOutput } from './standard-output.ts';
import { stopSignal } from './stop-signal.ts';

export interface EventsOptions extends AdminOptions {
  /** Of the node, which is asked where there is no controller. */
  readonly state: string;
  readonly follow?: boolean;
  readonly all?: boolean;
}

/** `meshnet events`: one line for each. Followed, it ends with a signal, or fails with whom it follows. */
export async function showEvents(options: EventsOptions): Promise<void> {
  const isController = hasController(options);
  const sentence = isController ? ofController : ofNode;
  const line = (text: string) => (options.json ? printableJson(text) : forPeople(text, sentence));
  const read = (path: string, onLine: (text: string) => void, signal: AbortSignal) =>
    isController
      ? adminLines(options, path, onLine, signal)
      : nodeLines(options.state, path, onLine, signal);
  if (!options.follow) {
    const print = (text: string) => void process.stdout.write(`${line(text)}\n`);
    return read('/v1/events', print, new AbortController().signal);
  }
  const signal = stopSignal({ withStdin: false, withStdout: true });
  const output = standardOutput();
  const path = `/v1/events?follow=true${options.all ? '&routine=true' : ''}`;
  await read(path, (text) => output.write(`${line(text)}\n`), signal);
}

/** What follows a gap: events of both kinds came too fast for this reader. */
interface Missed {
  readonly event: 'missed';
  readonly count: number;
}

interface Dated {
  readonly at: number;
}

// Another version may know events that this program does not: then there is no sentence.
const ofController = (event: unknown): string | undefined =>
  describeControllerEvent(event as StampedEvent);
const ofNode = (event: unknown): string | undefined => describeEvent(event as AgentEvent);

function forPeople(text: string, sentence: (event: unknown) => string | undefined): string {
  const event = JSON.parse(text) as (Dated & { readonly event: string }) | Missed;
  if ('count' in event && event.event === 'missed') {
    return `... ${event.count} events came too fast and were missed`;
  }
  return printable(`${new Date((event as Dated).at).toISOString()} ${sentence(event) ?? text}`);
}
