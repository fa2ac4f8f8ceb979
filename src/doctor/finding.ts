/** What was looked at. */
export type Subject =
  | 'running'
  | 'state'
  | 'reach'
  | 'authority'
  | 'clock'
  | 'udp'
  | 'endpoints'
  | 'mtu'
  | 'overlap'
  | 'rights'
  | 'tls'
  | 'disk'
  | 'versions';

export type Level = 'ok' | 'warning' | 'problem';

export interface Finding {
  readonly subject: Subject;
  readonly level: Level;
  /** What was found, in a sentence. May hold foreign text. */
  readonly found: string;
  /** What to do about it; null where nothing needs to be done. */
  readonly remedy: string | null;
}

export function ok(subject: Subject, found: string): Finding {
  return { subject, level: 'ok', found, remedy: null };
}

export function warning(subject: Subject, found: string, remedy: string): Finding {
  return { subject, level: 'warning', found, remedy };
}

export function problem(subject: Subject, found: string, remedy: string): Finding {
  return { subject, level: 'problem', found, remedy };
}

/** What a look finds; one that fails is itself a finding. */
export async function look(
  subject: Subject,
  examine: () => Finding[] | Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    return await examine();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [problem(subject, `could not be looked at: ${why}`, 'see what the message names')];
  }
}
