/** Pictures as SVG, of plain numbers. */

const FONT = 'font-family="sans-serif" font-size="12"';
const LEFT = 120;
const WIDTH = 640;
const LANE = 22;
const TOP = 44;

export interface Span {
  readonly from: number;
  readonly to: number;
  readonly color: string;
}

export interface Lane {
  readonly name: string;
  readonly spans: readonly Span[];
  /** Moments at which something was done, with a word each. */
  readonly marks: readonly { readonly at: number; readonly label: string }[];
}

export const COLORS = { member: '#2f9e58', denied: '#cf4436', waiting: '#c9ced6' } as const;

/** Who was what when: a row each, seconds to the right. */
export function lanes(title: string, rows: readonly Lane[], endS: number): string {
  const x = (seconds: number) => LEFT + (seconds / endS) * WIDTH;
  const bodies = rows.map(({ name, spans, marks }, row) => {
    const y = TOP + row * LANE;
    const bars = spans.map(
      ({ from, to, color }) =>
        `<rect x="${n(x(from))}" y="${y}" width="${n(x(to) - x(from))}" height="14" fill="${color}"/>`,
    );
    const flags = marks.map(
      ({ at, label }) =>
        `<path d="M${n(x(at))} ${y - 3}v20" stroke="#111"/><text x="${n(x(at) + 3)}" y="${y + 11}" ${FONT} fill="#fff">${text(label)}</text>`,
    );
    return `<text x="${LEFT - 8}" y="${y + 11}" text-anchor="end" ${FONT}>${text(name)}</text>${bars.join('')}${flags.join('')}`;
  });
  const bottom = TOP + rows.length * LANE;
  return page(title, bottom + 30, [...bodies, axis(x, endS, bottom, 's')]);
}

export interface Line {
  readonly name: string;
  readonly color: string;
  /** Pairs of x and y; y from 0 to 1. */
  readonly points: readonly (readonly [number, number])[];
}

/** Shares over rounds or time. */
export function lines(title: string, all: readonly Line[], endX: number, unit: string): string {
  const height = 260;
  const x = (value: number) => LEFT + (value / endX) * WIDTH;
  const y = (value: number) => TOP + (1 - value) * height;
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<path d="M${LEFT} ${n(y(share))}h${WIDTH}" stroke="#ddd"/><text x="${LEFT - 8}" y="${n(y(share) + 4)}" text-anchor="end" ${FONT}>${share}</text>`,
  );
  const drawn = all.map(({ color, points }) => {
    const path = points.map(([a, b]) => `${n(x(a))} ${n(y(b))}`).join('L');
    return `<path d="M${path}" fill="none" stroke="${color}" stroke-width="2"/>`;
  });
  const names = all.map(
    ({ name, color }, one) =>
      `<text x="${LEFT + 10}" y="${TOP + height - 12 - 16 * one}" ${FONT} fill="${color}">${text(name)}</text>`,
  );
  const bottom = TOP + height;
  return page(title, bottom + 30, [...grid, ...drawn, ...names, axis(x, endX, bottom, unit)]);
}

function axis(x: (value: number) => number, end: number, y: number, unit: string): string {
  const step = [1, 2, 5, 10, 20, 30, 60].find((one) => end / one <= 12) ?? end;
  const ticks = Array.from({ length: Math.floor(end / step) + 1 }, (_, one) => one * step);
  return ticks
    .map(
      (value) =>
        `<text x="${n(x(value))}" y="${y + 16}" text-anchor="middle" ${FONT}>${value}${value === 0 ? ` ${unit}` : ''}</text>`,
    )
    .join('');
}

function page(title: string, height: number, parts: readonly string[]): string {
  const width = LEFT + WIDTH + 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>${text(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="24" font-family="sans-serif" font-size="14" font-weight="bold">${text(title)}</text>
${parts.join('\n')}
</svg>
`;
}

const n = (value: number) => String(Math.round(value * 10) / 10);
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
const text = (raw: string) => raw.replace(/[&<>"]/g, (one) => ENTITIES[one]!);
