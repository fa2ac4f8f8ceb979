/** Numbers in [0, 1), the same for the same seed (mulberry32): for simulations, not for keys. */
export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal (Box and Muller 1958). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Right answers among `items`, each right with `quality`. */
export function binomial(random: Random, items: number, quality: number): number {
  let right = 0;
  for (let item = 0; item < items; item++) if (random() < quality) right++;
  return right;
}
