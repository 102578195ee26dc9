import type { Paint } from '../../node-runtime/cli/style.ts';
import type { Row } from './statistics.ts';

const cellWidth = 24;
/** Minutes of mean delay that fill the bar of a cell. */
const fullBarMinutes = 60;
const barWidth = 6;
const blocks = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/** One line per hour, one column per distance band: mean delay in minutes, its 95 % interval, and a bar to look at. */
export function renderRows(rows: readonly Row[], paint: Paint): string[] {
  const bands = [...new Set(rows.map((row) => row.band))];
  const order = ['under 300 mi', '300-599 mi', '600-999 mi', '1000 mi and more'];
  bands.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const hours = [...new Set(rows.map((row) => row.hour))].sort((a, b) => a - b);
  const head = `hour  ${bands.map((band) => band.padEnd(cellWidth)).join('')}`.trimEnd();
  return [
    paint('strong', 'Mean delay in minutes [95 % interval] by hour of departure and distance'),
    paint('dim', head),
    ...hours.map((hour) =>
      `${String(hour).padStart(4)}  ${bands.map((band) => cell(rows, hour, band, paint)).join('')}`.trimEnd(),
    ),
  ];
}

function cell(rows: readonly Row[], hour: number, band: string, paint: Paint): string {
  const row = rows.find((each) => each.hour === hour && each.band === band);
  if (row === undefined) return ''.padEnd(cellWidth);
  const text = `${row.meanDelay.toFixed(1).padStart(5)} [${whole(row.low)}, ${whole(row.high)}]`;
  const late = row.meanDelay >= 20 ? 'bad' : row.meanDelay >= 8 ? 'busy' : 'good';
  return `${paint(late, delayBar(row.meanDelay))} ${text.padEnd(cellWidth - barWidth - 1)}`;
}

function delayBar(minutes: number): string {
  const eighths = Math.max(0, Math.min(1, minutes / fullBarMinutes)) * barWidth * 8;
  const whole = Math.floor(eighths / 8);
  return ('█'.repeat(whole) + (whole < barWidth ? blocks[Math.floor(eighths % 8)] : '')).padEnd(barWidth);
}

/** Never "-0". */
function whole(minutes: number): string {
  return String(Math.round(minutes) + 0);
}
