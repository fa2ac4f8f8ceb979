/** At least `least` decimals, and as many more as the number has. */
export function decimals(value: number, least: number): string {
  const own = String(value).split('.')[1]?.length ?? 0;
  return value.toFixed(Math.min(20, Math.max(least, own)));
}

/** As many decimals as it takes to see on which side of `bound` it lies: 0.6999 is not 0.70. */
export function beside(value: number, bound: number, least: number): string {
  for (let digits = least; digits <= 20; digits++) {
    const text = value.toFixed(digits);
    if (Math.sign(Number(text) - bound) === Math.sign(value - bound)) return text;
  }
  return String(value);
}
