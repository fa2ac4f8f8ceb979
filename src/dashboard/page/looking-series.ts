import type uPlot from 'uplot';
import type { Series } from 'uplot';
import { printable } from '../../contract/printable.ts';
import { lookOf, type Shape } from './series-look.ts';
import { themeColour } from './theme.ts';

/** Diameter of a point, CSS pixels. */
const SIZE = 7;

/** A series that looks as the line at this place does. */
export function lookingSeries(place: number, label: string): Series {
  const { colour, shape, dash } = lookOf(place);
  const stroke = themeColour(colour);
  return {
    label: `${shape.glyph} ${printable(label)}`,
    stroke,
    width: 1.5,
    dash: [...dash],
    spanGaps: true,
    points: {
      show: haveRoom,
      size: SIZE,
      fill: stroke,
      ...(shape.corners.length > 0 && { paths: cornered(shape.corners) }),
    },
  };
}

/** Whether points stand apart; if not, the line alone is easier to read, and its dashes tell whose it is. */
function haveRoom(plot: uPlot, _series: number, from: number, to: number): boolean {
  return (to - from) * 2 * SIZE * devicePixelRatio <= plot.bbox.width;
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
