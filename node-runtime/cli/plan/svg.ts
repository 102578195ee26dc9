import type { PlanAnswer } from '../../contract/index.ts';
import { escaped, rounded } from '../svg.ts';
import { durationText } from '../text.ts';
import { type Lane, lanesOf, ticksOf } from './lanes.ts';

const width = 960;
const laneHeight = 22;
const margin = { left: 130, right: 24, top: 44, bottom: 44 } as const;
const fills = ['#2563eb', '#059669', '#d97706', '#7c3aed', '#db2777', '#0891b2', '#65a30d', '#dc2626'] as const;
const colours = { axis: '#94a3b8', grid: '#e2e8f0', text: '#0f172a', band: '#fde68a', deadline: '#dc2626' } as const;

/** The plan as a picture: a lane for each slot, the band in which the job will be done with 80 %, and its deadline. */
export function planSvgOf(heading: string, plan: PlanAnswer): string {
  const { finish, deadline, stages, tasks } = plan;
  const lanes = lanesOf(plan);
  const ends = [...tasks.map(({ finishMs }) => finishMs), finish?.q90Ms ?? 0, deadline?.withinMs ?? 0];
  const spanMs = Math.max(1, ...ends);
  const bottom = margin.top + lanes.length * laneHeight;
  const height = bottom + margin.bottom;
  const x = (ms: number) => rounded(margin.left + (ms / spanMs) * (width - margin.left - margin.right));
  const fillOf = new Map(stages.map(({ stage }, index) => [stage, fills[index % fills.length]!]));
  const text = (atX: number, atY: number, said: string, anchor: 'start' | 'middle' | 'end', size = 12) =>
    `<text x="${atX}" y="${atY}" text-anchor="${anchor}" font-size="${size}">${escaped(said)}</text>`;
  const band =
    finish?.q10Ms === undefined || finish.q90Ms === undefined
      ? []
      : [
          `<rect x="${x(finish.q10Ms)}" y="${margin.top}" width="${rounded(x(finish.q90Ms) - x(finish.q10Ms))}" height="${bottom - margin.top}" fill="${colours.band}"><title>done here with 80 %</title></rect>`,
        ];
  const grid = ticksOf(spanMs, 8).flatMap((ms) => [
    `<path d="M${x(ms)} ${margin.top}V${bottom}" stroke="${colours.grid}"/>`,
    text(x(ms), bottom + 16, ms === 0 ? 'now' : durationText(ms), 'middle'),
  ]);
  const due =
    deadline === undefined
      ? []
      : [
          `<path d="M${x(deadline.withinMs)} ${margin.top - 4}V${bottom + 4}" stroke="${colours.deadline}" stroke-width="2" stroke-dasharray="5 3"/>`,
          text(x(deadline.withinMs), margin.top - 8, 'deadline', 'end', 11),
        ];
  const legend = stages.map(({ stage }, index) => {
    const at = margin.left + index * 130;
    return `<rect x="${at}" y="${height - 18}" width="10" height="10" fill="${fillOf.get(stage)}"/>${text(at + 15, height - 9, stage, 'start')}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" fill="${colours.text}">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(margin.left, 22, heading, 'start', 14),
    ...band,
    ...grid,
    ...lanes.flatMap((lane, index) => laneOf(lane, margin.top + index * laneHeight)),
    ...due,
    ...legend,
    '</svg>',
    '',
  ].join('\n');

  function laneOf({ title, tasks: own }: Lane, y: number): string[] {
    return [
      text(margin.left - 8, y + 15, title, 'end'),
      ...own.map(({ task, stage, startMs, finishMs, isMerge }) => {
        const wide = Math.max(1, rounded(x(finishMs) - x(startMs) - 1));
        const said = `${task}: ${durationText(startMs)} to ${durationText(finishMs)}`;
        return `<rect x="${x(startMs)}" y="${y + 3}" width="${wide}" height="${laneHeight - 6}" rx="2" fill="${fillOf.get(stage)}"${isMerge ? ' fill-opacity="0.6"' : ''}><title>${escaped(said)}</title></rect>`;
      }),
    ];
  }
}
