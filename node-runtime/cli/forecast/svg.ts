import { escaped, rounded } from '../svg.ts';
import { durationText } from '../text.ts';
import type { SeriesView } from './view.ts';

const width = 720;
const panelHeight = 166;
const plot = { left: 90, right: 20, top: 28, height: 90 } as const;
const colours = { past: '#334155', band: '#93c5fd', middle: '#1d4ed8', axis: '#94a3b8', text: '#0f172a' } as const;

/** The same as a picture: a note below the heading, a panel for each resource, the past as a line, the future as a band of 80 % around its middle. */
export function svgOf(heading: string, views: readonly SeriesView[], pastMs: number, note = ''): string {
  const height = 40 + views.length * panelHeight;
  const panels = views.map((view, index) => panelOf(view, pastMs, 40 + index * panelHeight));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12" fill="${colours.text}">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${plot.left}" y="24" font-size="14">${escaped(heading)}</text>`,
    ...(note === '' ? [] : [`<text x="${plot.left}" y="41">${escaped(note)}</text>`]),
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}

function panelOf(view: SeriesView, pastMs: number, y: number): string {
  const { title, text, top, past, future, stepMs, why, scored } = view;
  const futureMs = (future.at(-1)?.fromMs ?? 0) + stepMs;
  const span = width - plot.left - plot.right;
  const x = (ms: number) => rounded(plot.left + ((ms + pastMs) / (pastMs + futureMs)) * span);
  const bottom = plot.top + plot.height;
  const height = (value: number) => rounded(bottom - (top <= 0 ? 0 : Math.min(1, value / top)) * plot.height);
  const shown = past.filter(({ ageMs }) => ageMs <= pastMs);
  const pastLine = shown.map(({ ageMs, value }) => `${x(-ageMs)},${height(value)}`).join(' ');
  // Each step is a stretch of time, not a point.
  const along = (of: (step: (typeof future)[number]) => number) =>
    future.flatMap((step) => [
      `${x(Math.max(0, step.fromMs))},${height(of(step))}`,
      `${x(step.fromMs + stepMs)},${height(of(step))}`,
    ]);
  const band = [...along(({ q90 }) => q90), ...along(({ q10 }) => q10).reverse()].join(' ');
  const by = why === undefined ? '' : `, by ${why.model}`;
  const label = (atX: number, atY: number, said: string, anchor = 'middle') =>
    `<text x="${atX}" y="${atY}" text-anchor="${anchor}">${escaped(said)}</text>`;
  return [
    `<g transform="translate(0 ${y})">`,
    label(plot.left, plot.top - 8, `${title}${by}`, 'start'),
    label(plot.left - 8, plot.top + 8, text(top), 'end'),
    label(plot.left - 8, bottom, text(0), 'end'),
    `<path d="M${plot.left} ${plot.top}V${bottom}H${width - plot.right}" fill="none" stroke="${colours.axis}"/>`,
    `<path d="M${x(0)} ${plot.top}V${bottom}" stroke="${colours.axis}" stroke-dasharray="3 3"/>`,
    `<polygon points="${band}" fill="${colours.band}" fill-opacity="0.6"/>`,
    `<polyline points="${along(({ q50 }) => q50).join(' ')}" fill="none" stroke="${colours.middle}" stroke-width="1.5"/>`,
    `<polyline points="${pastLine}" fill="none" stroke="${colours.past}"/>`,
    label(plot.left, bottom + 16, `-${durationText(pastMs)}`),
    label(x(0), bottom + 16, 'now'),
    label(width - plot.right, bottom + 16, `+${durationText(futureMs)}`, 'end'),
    ...(scored === undefined ? [] : [label(plot.left, bottom + 32, scored, 'start')]),
    '</g>',
  ].join('\n');
}
