/**
 * How one of several lines is told from the others: by colour, by the shape of its points, which the
 * legend has, too, and by its dashes. Of sixty no two are the same in all three.
 */
export interface Look {
  /** In the style sheet. */
  readonly colour: string;
  readonly shape: Shape;
  readonly dash: readonly number[];
}

export interface Shape {
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
/** Of the line at this place. */
export function lookOf(place: number): Look {
  return {
    colour: `series-${(place % SERIES_COLOURS) + 1}`,
    shape: SHAPES[place % SHAPES.length]!,
    dash: DASHES[place % DASHES.length]!,
  };
}
