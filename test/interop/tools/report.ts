/** One JSON value per line on standard output, read by ../tools.ts. */
export function report(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export const ready = () => report({ ready: true });

/** Arguments of the tool as numbers and texts. */
export function argument(at: number): string {
  const value = process.argv[at + 2];
  if (value === undefined) throw new Error(`argument ${at} is missing`);
  return value;
}
