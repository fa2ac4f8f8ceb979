/** The little SVG that plots need. Numbers in pixels. */

type Point = readonly [x: number, y: number];

export function document(width: number, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${Math.ceil(height)}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}

export function line(points: readonly Point[], colour: string, dashes = ''): string {
  const at = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
  const dashed = dashes === '' ? '' : ` stroke-dasharray="${dashes}"`;
  return `<polyline points="${at}" fill="none" stroke="${colour}"${dashed}/>`;
}

export function rectangle(
  x: number,
  y: number,
  width: number,
  height: number,
  fill: string,
): string {
  return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(2)}" height="${height.toFixed(1)}" fill="${fill}"/>`;
}

export function circle([x, y]: Point, fill: string): string {
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="${fill}"/>`;
}

/** `content` is escaped already. */
export function text(x: number, y: number, content: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}">${content}</text>`;
}

export function escaped(content: string): string {
  return content.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
}
