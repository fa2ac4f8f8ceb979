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

/** `0.95` as `95 %`. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))} %`;
}

/** A sentence names so many values at most; a rule may look at more. */
const MOST_SHOWN = 8;

/** The last `looked` values, oldest first, such that each is seen to be under `threshold` or not. */
export function shown(values: readonly number[], looked: number, threshold: number): string {
  const count = Math.min(looked, MOST_SHOWN);
  const more = looked > count ? '..., ' : '';
  return `${more}${values
    .slice(-count)
    .map((one) => beside(one, threshold, 2))
    .join(', ')}`;
}
