import type { AgentEvent } from '../agent/events.ts';
import type { EpochDocument } from '../contract/epoch.ts';
import type { DemoOutput, DemoView } from './demo.ts';
import { type Change, changeVerb, describeEcho, pair } from './model.ts';
import { renderScreen } from './screen.ts';

/** Where an output writes: standard output, or a string in tests. */
export interface Terminal {
  write(text: string): void;
  readonly columns: number;
  readonly rows: number;
}

/** One JSON event per line. */
export function jsonOutput(terminal: Terminal): DemoOutput {
  const line = (value: object) => terminal.write(`${JSON.stringify(value)}\n`);
  return {
    begin: ({ mode, note, scenario, times, dashboardUrl }) =>
      line({
        event: 'begin',
        pid: process.pid,
        mode,
        note,
        scenario,
        epoch_s: times.epoch,
        dashboard: dashboardUrl,
      }),
    agent: (from, event) => line({ from, ...event }),
    epoch: (document) => line({ event: 'epoch', ...document }),
    change: (change) => line({ event: 'verdict', ...change }),
    end: () => {},
  };
}

/** Plain lines, for a log or a pipe: verdicts as they change, reachability once an epoch. */
export function plainOutput(terminal: Terminal): DemoOutput {
  let view: DemoView | undefined;
  return {
    begin(begun) {
      view = begun;
      const { mode, note, scenario, times, dashboardUrl, hints } = begun;
      if (note !== '') terminal.write(`${note}\n`);
      const clock = times.epoch === 60 ? '' : ' (production uses 60 s)';
      terminal.write(`${mode} mode, scenario ${scenario}, epochs of ${times.epoch} s${clock}\n`);
      terminal.write(`see it in a browser: ${dashboardUrl}\n`);
      for (const hint of hints) terminal.write(`${hint}\n`);
    },
    agent: (from, event) => {
      const text = remarkable(event);
      if (text !== undefined) terminal.write(`          ${from}: ${text}\n`);
    },
    epoch(document: EpochDocument) {
      const { model } = view!;
      const paths = model.nodeIds.flatMap((from) =>
        model.nodeIds.flatMap((to) => {
          const last = model.reach.get(pair(from, to));
          if (!last) return [];
          return [`${short(from)}->${short(to)} ${describeEcho(last)}`];
        }),
      );
      if (paths.length > 0) terminal.write(`          ${paths.join(', ')}\n`);
      const members = document.nodes.filter((node) => node.allowed).map((node) => node.node_id);
      terminal.write(`epoch ${document.epoch}: members ${members.join(' ') || 'nobody'}\n`);
    },
    change: (change: Change) => {
      const { node, explanation } = change;
      terminal.write(`          ${node} ${changeVerb(change)}: ${explanation}\n`);
    },
    end: () => {},
  };
}

/** What of an agent's events is worth a line among verdicts. */
function remarkable(event: AgentEvent): string | undefined {
  switch (event.event) {
    case 'started':
      return `up at ${event.address} (${[event.backend, event.aead, ...event.offloads].filter(Boolean).join(' ')})`;
    case 'removed':
      return `dropped ${event.nodes.join(' ') || 'all peers'} in ${event.took_ms} ms`;
    case 'fail_closed':
      return 'failed closed';
    case 'recovered':
      return 'recovered';
    case 'key_changed':
      return `${event.accepted ? 'took' : 'refused'} ${event.node}, whose keys changed`;
    case 'device_error':
      return `the device refused: ${event.detail}`;
    default:
      return undefined;
  }
}

function short(nodeId: string): string {
  return nodeId.replace(/^node-/, '');
}

const ALTERNATE_SCREEN = '\x1b[?1049h\x1b[?25l';
const NORMAL_SCREEN = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_TO_END_OF_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const REDRAW_MS = 200;

/** https://no-color.org: not if `NO_COLOR` is set, and not to nothing. */
export const coloursWanted = (noColor = ''): boolean => noColor === '';

/** The live view on a terminal. */
export function liveOutput(terminal: Terminal, colour: boolean): DemoOutput {
  let timer: NodeJS.Timeout | undefined;
  return {
    begin(view) {
      terminal.write(ALTERNATE_SCREEN);
      const draw = () => {
        const { mode, note, scenario, times, model } = view;
        const seen = `see it in a browser: ${view.dashboardUrl}`;
        const hints = [seen, ...view.hints, 'Ctrl-C ends it and leaves nothing behind'];
        const context = { mode, note, scenario, epochSeconds: times.epoch, colour, hints };
        const lines = renderScreen(model, context, Date.now()).slice(0, terminal.rows);
        const text = lines.map((line) => clip(line, terminal.columns) + CLEAR_TO_END_OF_LINE);
        terminal.write(`${HOME}${text.join('\r\n')}${CLEAR_BELOW}`);
      };
      draw();
      timer = setInterval(draw, REDRAW_MS);
    },
    agent: () => {},
    epoch: () => {},
    change: () => {},
    end() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      terminal.write(NORMAL_SCREEN);
    },
  };
}

/** Cuts a line to the width of the terminal; colours count for nothing. */
function clip(line: string, columns: number): string {
  let width = 0;
  let out = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what it is about
  for (const part of line.split(/(\x1b\[\d+m)/)) {
    if (part.startsWith('\x1b')) {
      out += part;
      continue;
    }
    out += part.slice(0, Math.max(0, columns - width));
    width += part.length;
  }
  return out;
}
