/** P(Z <= z) of a standard normal Z: erfc by its series, and by its continued fraction in the tails. */
export function normalBelow(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const tail = (x < 3 ? 1 - erfBySeries(x) : erfcByFraction(x)) / 2;
  return z < 0 ? tail : 1 - tail;
}

/** The z with `normalBelow(z) = share`, 0 < share < 1, by bisection to the last bit. */
export function normalQuantile(share: number): number {
  const known = quantiles.get(share);
  if (known !== undefined) return known;
  let low = -40;
  let high = 40;
  for (let i = 0; i < 120; i++) {
    const middle = (low + high) / 2;
    if (normalBelow(middle) < share) low = middle;
    else high = middle;
  }
  if (quantiles.size < MOST_QUANTILES) quantiles.set(share, high);
  return high;
}

/** Those of the levels that policies name. */
const quantiles = new Map<number, number>();
const MOST_QUANTILES = 64;

function erfBySeries(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 1; k < 200; k++) {
    term *= (-x * x) / k;
    sum += term / (2 * k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function erfcByFraction(x: number): number {
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}
