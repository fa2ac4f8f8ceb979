/** Numbers and times for people. */

export function score(value: number | null): string {
  return value === null ? '–' : value.toFixed(3);
}

/** `ms` as its largest unit or two. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** In the reader's own zone and manner. */
export function clockTime(at: number): string {
  return new Date(at).toLocaleTimeString();
}

export function dateTime(at: number): string {
  return new Date(at).toLocaleString();
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
