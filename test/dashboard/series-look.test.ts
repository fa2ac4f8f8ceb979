import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lookOf, SERIES_COLOURS } from '../../src/dashboard/page/series-look.ts';

const css = readFileSync(new URL('../../src/dashboard/page/style.css', import.meta.url), 'utf8');
const [light, dark] = css.split('@media (prefers-color-scheme: dark)', 2);

type Rgb = readonly [number, number, number];

/** Of the style sheet, linear, each from 0 to 1. */
function colour(sheet: string, name: string): Rgb {
  const hex = new RegExp(`--${name}: #([0-9a-f]{3,6});`).exec(sheet)![1]!;
  const six = hex.length === 3 ? hex.replace(/./g, '$&$&') : hex;
  return six.match(/../g)!.map((two) => linear(Number.parseInt(two, 16) / 255)) as unknown as Rgb;
}

function linear(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function luminance([r, g, b]: Rgb): number {
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** WCAG 2.2, contrast ratio. */
function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

test.each([
  ['light', light!],
  ['dark', dark!],
])('lines stand out from what they are drawn on (WCAG 1.4.11): %s', (_, sheet) => {
  const card = colour(sheet, 'card');
  for (let i = 1; i <= SERIES_COLOURS; i++) {
    expect(contrast(colour(sheet, `series-${i}`), card)).toBeGreaterThan(3);
  }
});

test('each of dozens of lines looks like no other, and neighbours differ in all: colour, shape, dashes', () => {
  const looks = Array.from({ length: 60 }, (_, i) => lookOf(i));
  expect(new Set(looks.map((one) => JSON.stringify(one))).size).toBe(60);
  for (const [i, { colour, shape, dash }] of looks.slice(1, 4).entries()) {
    for (const before of looks.slice(0, i + 1)) {
      expect(before.colour).not.toBe(colour);
      expect(before.shape.glyph).not.toBe(shape.glyph);
      expect(before.dash).not.toEqual(dash);
    }
  }
});

/** Machado, Oliveira, Fernandes 2009, severity 1.0. */
const BLINDNESS = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
} as const;

/** OKLab (Ottosson 2020), for the distance that eyes see. */
function oklab([r, g, b]: Rgb): Rgb {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

test.each(
  Object.entries(BLINDNESS).flatMap(([name, matrix]) => [
    [name, 'light', matrix, light!] as const,
    [name, 'dark', matrix, dark!] as const,
  ]),
)('the first four can be told apart with %s, %s', (_name, _scheme, matrix, sheet) => {
  const seen = [1, 2, 3, 4].map((i) => {
    const rgb = colour(sheet, `series-${i}`);
    const as = matrix.map((row) => row.reduce<number>((sum, of, j) => sum + of * rgb[j]!, 0));
    return oklab(as.map((one) => Math.min(1, Math.max(0, one))) as unknown as Rgb);
  });
  for (const [i, a] of seen.entries()) {
    for (const b of seen.slice(i + 1)) {
      expect(Math.hypot(...a.map((one, j) => one - b[j]!))).toBeGreaterThan(0.08);
    }
  }
});
