import { useEffect, useRef } from 'preact/hooks';
import uPlot, { type AlignedData, type Options } from 'uplot';
import { html } from './html.ts';
import { themeColour } from './theme.ts';

export interface PlotProps {
  /** What there is to see, in words: for who does not see it. */
  readonly label: string;
  /** x in seconds since 1970 or in epochs, then one array for each series. */
  readonly data: AlignedData;
  readonly options: (colours: PlotColours) => Omit<Options, 'width' | 'height'>;
  readonly height?: number;
}

/** Of the theme in force. */
export interface PlotColours {
  readonly text: string;
  readonly grid: string;
  readonly member: string;
  readonly denied: string;
  readonly line: string;
}

/** The last label of the axis reaches beyond its end; CSS pixels, null: as it comes. */
const ROOM: NonNullable<Options['padding']> = [null, 28, null, null];

/** A plot as wide as its place. */
export function Plot({ label, data, options, height = 260 }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  useEffect(() => {
    const element = place.current!;
    const draw = () => {
      plot.current?.destroy();
      const size = { width: Math.max(200, element.clientWidth), height };
      const hooks = { ready: [showLatest], setCursor: [showLatest] };
      const given = { padding: ROOM, hooks, ...options(colours()), ...size };
      plot.current = new uPlot(given, data, element);
    };
    draw();
    const sized = new ResizeObserver(() => {
      plot.current?.setSize({ width: Math.max(200, element.clientWidth), height });
    });
    sized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    return () => {
      sized.disconnect();
      scheme.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [data]);
  return html`<div class="plot" role="img" aria-label=${label} ref=${place}></div>`;
}

/** While nobody points at anything, the legend has the latest values. */
function showLatest(plot: uPlot): void {
  if (typeof plot.cursor.idx !== 'number') plot.setLegend({ idx: plot.data[0].length - 1 });
}

function colours(): PlotColours {
  return {
    text: themeColour('text'),
    grid: themeColour('edge'),
    member: themeColour('member'),
    denied: themeColour('denied'),
    line: themeColour('line'),
  };
}
