import type { JobPromise, JobState, StageState } from '../contract/index.ts';
import type { UploadProgress } from './job-payload.ts';
import type { Paint } from './style.ts';
import { bytesText, durationText, oneLine, percentText, plural, timeOfDay, widthOf } from './text.ts';

export interface JobProgress {
  readonly state: JobState;
  /** Tasks that each node runs now, when known. */
  readonly runningByNode?: Readonly<Record<string, number>>;
  /** Whether what is shown is what there is; true unless said. */
  readonly connected?: boolean;
  /** When the state came: what it says of the future counts from there. Milliseconds since 1970, by the clock of this machine. */
  readonly atMs: number;
}

const connectionLost = 'the connection is lost: trying again';

export interface ProgressStyle {
  readonly columns: number;
  readonly paint: Paint;
}

const barCells = 24;
const barCellsLeast = 6;
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** `█████▌░░░░`: exactly `cells` wide. */
export function bar(fraction: number, cells: number): string {
  const filled = Math.max(0, Math.min(1, fraction)) * cells * 8;
  // The last eighth is kept for the end, as the last per cent is.
  const steps = fraction >= 1 ? cells * 8 : Math.min(Math.floor(filled), cells * 8 - 1);
  const full = '█'.repeat(Math.floor(steps / 8)) + eighths[steps % 8];
  return full + '░'.repeat(cells - full.length);
}

/** One head line, one line per stage, and what a person should know below: never wider than the terminal. */
export function renderJob(
  { state, runningByNode, connected, atMs }: JobProgress,
  { columns, paint }: ProgressStyle,
): string[] {
  const nameWidth = Math.max(...state.stages.map(({ stage }) => widthOf(stage)), 0);
  const rows = state.stages.map((stage) => ({ stage, counts: countsText(stage), note: noteOf(stage, state) }));
  const countsWidth = Math.max(...rows.map(({ counts }) => widthOf(counts)), 0);
  const noteWidth = Math.max(...rows.map(({ note }) => widthOf(note)), 0);
  // "  name  bar  100 %  counts  note"
  const room = columns - 1 - (2 + nameWidth + 2) - (2 + 5 + 2) - countsWidth - (noteWidth === 0 ? 0 : 2 + noteWidth);
  const cells = room >= barCellsLeast ? Math.min(barCells, room) : 0;
  const lines = [`${state.job}  ${phaseText(state, paint)}${headNote(state, atMs)}`];
  for (const { stage, counts, note } of rows) {
    const drawn = cells === 0 ? '' : `${paint(toneOf(stage), bar(stage.progress, cells))}  `;
    const percent = percentText(stage.progress).padStart(5);
    lines.push(
      `  ${stage.stage.padEnd(nameWidth)}  ${drawn}${percent}  ${counts.padEnd(countsWidth)}  ${note}`.trimEnd(),
    );
  }
  const nodes = state.phase === 'running' ? nodesText(runningByNode) : '';
  if (nodes !== '') lines.push(`  ${paint('dim', 'on')} ${nodes}`);
  if (state.problem !== undefined && state.phase !== 'failed' && state.phase !== 'cancelled') {
    lines.push(`  ${oneLine(state.problem.message)}`);
    if (state.problem.mend !== undefined) lines.push(`  ${oneLine(state.problem.mend)}`);
  }
  if (connected === false) lines.push(`  ${paint('bad', connectionLost)}`);
  return lines.map((line) => clip(line, columns - 1));
}

/** The same in one line, for logs: only what changes as the job goes on. */
export function plainJob({ state, runningByNode, connected, atMs }: JobProgress): string {
  const stages = state.stages
    .filter(({ tasks, reason }) => tasks > 0 || reason !== 'needs')
    .map(
      (stage) => `${stage.stage} ${percentText(stage.progress)}${stage.tasks === 0 ? '' : ` (${countsText(stage)})`}`,
    );
  const nodes = state.phase === 'running' ? nodesText(runningByNode) : '';
  const stuck = state.phase === 'accepted' || state.phase === 'running' ? state.problem?.message : undefined;
  return [
    `${state.job}: ${state.phase}${headNote(state, atMs)}`,
    ...stages,
    ...(nodes === '' ? [] : [`on ${nodes}`]),
    ...(stuck === undefined ? [] : [oneLine(stuck)]),
    ...(connected === false ? [connectionLost] : []),
  ].join(', ');
}

export function renderUploads(uploads: readonly UploadProgress[], { columns, paint }: ProgressStyle): string[] {
  const nameWidth = Math.min(32, Math.max(...uploads.map(({ shown }) => widthOf(shown)), 0));
  return uploads.map(({ shown, doneBytes, totalBytes }) => {
    const fraction = totalBytes === 0 ? 1 : doneBytes / totalBytes;
    const name = clip(shown, nameWidth);
    const drawn = paint(fraction >= 1 ? 'good' : 'busy', bar(fraction, barCells));
    const line = `  ${name}${' '.repeat(nameWidth - widthOf(name))}  ${drawn}  ${percentText(fraction).padStart(5)}  ${bytesText(totalBytes)}`;
    return clip(line, columns - 1);
  });
}

function phaseText({ phase }: JobState, paint: Paint): string {
  if (phase === 'done') return paint('good', phase);
  if (phase === 'failed' || phase === 'refused') return paint('bad', phase);
  return phase === 'running' ? paint('busy', phase) : phase;
}

function headNote({ phase, remainingMs, elapsedMs, finish, promise }: JobState, nowMs: number): string {
  if (phase === 'done') return ` in ${durationText(elapsedMs)}${promisedText(promise)}`;
  if (phase === 'failed' || phase === 'cancelled') return ` after ${durationText(elapsedMs)}`;
  if (finish?.q90Ms !== undefined) return `, done by ${timeOfDay(nowMs + finish.q90Ms, nowMs)} (90 %)`;
  return remainingMs === undefined ? '' : `, about ${leftText(remainingMs)} left`;
}

/** ` (promised 44 s)`; nothing of a job that was over before anything could be promised. */
export function promisedText(promise: JobPromise | undefined): string {
  return promise === undefined ? '' : ` (promised ${durationText(promise.withinMs)})`;
}

/** Whole seconds, at least one: it is an estimate. */
function leftText(remainingMs: number): string {
  const seconds = Math.max(1, Math.ceil(remainingMs / 1_000));
  return seconds < 60 ? `${seconds} s` : durationText(seconds * 1_000);
}

function countsText({ tasks, done }: StageState): string {
  return tasks === 0 ? '' : `${done}/${tasks}`;
}

const reasons = {
  needs: 'waits for other stages',
  index: 'looking for record borders',
  queued: 'queued',
  unplaceable: 'no node has room',
} as const;

function noteOf({ running, failed, reason, progress }: StageState, { phase }: JobState): string {
  if (failed > 0) return `${failed} failed`;
  if (progress >= 1) return '';
  if (running > 0) return `${running} running`;
  return reason !== undefined && (phase === 'accepted' || phase === 'running') ? reasons[reason] : '';
}

function toneOf({ failed, progress, running }: StageState): 'good' | 'bad' | 'busy' | 'dim' {
  if (failed > 0) return 'bad';
  return progress >= 1 ? 'good' : running > 0 || progress > 0 ? 'busy' : 'dim';
}

const nodesShown = 8;
/** pi-2 before pi-10. */
const byName = new Intl.Collator('en', { numeric: true });

function nodesText(runningByNode: Readonly<Record<string, number>> | undefined): string {
  const entries = Object.entries(runningByNode ?? {}).filter(([, count]) => count > 0);
  entries.sort(([a], [b]) => byName.compare(a, b));
  const shown = entries.slice(0, nodesShown).map(([node, count]) => `${node} ${count}`);
  const more = entries.length - shown.length;
  return shown.join('  ') + (more > 0 ? `  and ${plural(more, 'node')} more` : '');
}

/** Cuts a line to so many cells; escape sequences take none, and what they began is ended. */
export function clip(line: string, cells: number): string {
  if (widthOf(line) <= cells) return line;
  let width = 0;
  let clipped = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith('\u001b')) {
      clipped += part;
      continue;
    }
    for (const character of part) {
      const next = widthOf(character);
      if (width + next > cells - 1) continue;
      width += next;
      clipped += character;
    }
    if (width >= cells - 1) break;
  }
  return `${clipped}…${clipped.includes('\u001b') ? '\u001b[0m' : ''}`;
}
