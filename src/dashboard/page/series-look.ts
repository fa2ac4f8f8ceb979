import type uPlot from 'uplot';
import type { Series } from 'uplot';
import { themeColour } from './theme.ts';

/**
 * How one of several lines is told from the others: by colour, by the shape of its points, which the
 * legend has, too, and by its dashes. No two are the same in two of them.
 */
interface Look {
  /** In the style sheet. */
  readonly colour: string;
  readonly shape: Shape;
  readonly dash: readonly number[];
}

interface Shape {
  /** For the legend. */
  readonly glyph: string;
  /** Corners around the point, in radii; none: it is round. */
  readonly corners: readonly (readonly [x: number, y: number])[];
}

/** Colours in the style sheet, `--series-1` and so on. */
export const SERIES_COLOURS = 6;

const SHAPES: readonly Shape[] = [
  { glyph: '●', corners: [] },
  {
    glyph: '■',
    corners: [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ],
  },
  {
    glyph: '▲',
    corners: [
      [0, -1.3],
      [1.2, 0.9],
      [-1.2, 0.9],
    ],
  },
  {
    glyph: '◆',
    corners: [
      [0, -1.4],
      [1.4, 0],
      [0, 1.4],
      [-1.4, 0],
    ],
  },
  {
    glyph: '▼',
    corners: [
      [0, 1.3],
      [1.2, -0.9],
      [-1.2, -0.9],
    ],
  },
];
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
/** Diameter of a point, CSS pixels. */
const SIZE = 7;

/** Of the line at this place. */
export function lookOf(place: number): Look {
  return {
    colour: `series-${(place % SERIES_COLOURS) + 1}`,
    shape: SHAPES[place % SHAPES.length]!,
    dash: DASHES[place % DASHES.length]!,
  };
}

/** The series that looks so. */
export function lookingSeries(place: number, label: string): Series {
  const { colour, shape, dash } = lookOf(place);
  const stroke = themeColour(colour);
  return {
    label: `${shape.glyph} ${label}`,
    stroke,
    width: 1.5,
    dash: [...dash],
    spanGaps: true,
    points: {
      show: true,
      size: SIZE,
      fill: stroke,
      ...(shape.corners.length > 0 && { paths: cornered(shape.corners) }),
    },
  };
}

function cornered(corners: Shape['corners']): Series.Points.PathBuilder {
  return (plot: uPlot, series: number, from: number, to: number) => {
    const fill = new Path2D();
    const radius = (SIZE / 2) * devicePixelRatio;
    for (let i = from; i <= to; i++) {
      const value = plot.data[series]![i];
      if (value === null || value === undefined) continue;
      const x = plot.valToPos(plot.data[0][i]!, 'x', true);
      const y = plot.valToPos(value, 'y', true);
      for (const [j, [right, down]] of corners.entries()) {
        const at = [x + right * radius, y + down * radius] as const;
        if (j === 0) fill.moveTo(...at);
        else fill.lineTo(...at);
      }
      fill.closePath();
    }
    return { fill, stroke: null };
  };
}
