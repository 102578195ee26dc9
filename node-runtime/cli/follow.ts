import { type JobResult, type JobState, MeshError } from '../contract/index.ts';
import type { JobHandle, MeshClient } from '../sdk/index.ts';
import type { Session } from './context.ts';
import { ExitWith } from './exit-codes.ts';
import { Live } from './live.ts';
import { type JobProgress, plainJob, promisedText, renderJob } from './progress.ts';
import { reportLines } from './report.ts';
import { deliverResult } from './results.ts';
import { durationText, plural } from './text.ts';

const nodesEveryMs = 2_000;
const redrawMs = 500;
/** After this long without an answer a person is told what the command waits for. */
const patienceMs = 5_000;

/** Shows a job until it has ended, then its result. Throws `ExitWith` for every end but `done`. */
export async function followJob(session: Session, client: MeshClient, handle: JobHandle, out?: string): Promise<void> {
  const live = new Live(session.io.stderr);
  const interruption = onceInterrupted(session);
  let known: { readonly state: JobState; readonly atMs: number } | undefined;
  const watching = watchNodes(session, client, handle);
  const draw = () => {
    if (known === undefined || session.json) return;
    live.show(viewOf(session, { ...known, runningByNode: watching.runningByNode(), connected: client.connected }));
  };
  // Not every change is a state: a connection that is lost, a node that takes over.
  const redraw = setInterval(draw, redrawMs);
  const shown = (async () => {
    const impatient = setTimeout(() => session.tell(waitingText(client)), patienceMs);
    try {
      for await (const state of handle.states()) {
        clearTimeout(impatient);
        known = { state, atMs: Date.now() };
        if (session.json) session.printJson({ event: 'state', state });
        draw();
      }
      return await handle.result();
    } finally {
      clearTimeout(impatient);
    }
  })();
  shown.catch(() => undefined);
  try {
    const result = await Promise.race([shown, interruption.happened]);
    if (result === undefined) throw detach(session, live, handle, known?.state);
    live.keep();
    await finish(session, client, result, out);
  } catch (error) {
    live.keep();
    throw error;
  } finally {
    clearInterval(redraw);
    interruption.stop();
    watching.stop();
    handle.close();
  }
}

function viewOf(session: Session, progress: JobProgress) {
  return {
    lines: (columns: number) => renderJob(progress, { columns, paint: session.paintErr }),
    plain: () => plainJob(progress),
  };
}

function waitingText(client: MeshClient): string {
  return client.connected
    ? 'no node has accepted the job yet: waiting for one to lead (is `foremesh node` running?)'
    : 'the connection to the broker is lost: waiting for it to come back';
}

function detach(session: Session, live: Live, handle: JobHandle, known: JobState | undefined): ExitWith {
  live.keep();
  session.tell(
    known === undefined
      ? `interrupted before ${handle.job} was accepted; it may still be: foremesh job ${handle.job}`
      : `the job goes on: foremesh job ${handle.job} --follow    to stop it: foremesh cancel ${handle.job}`,
  );
  return new ExitWith('interrupted');
}

async function finish(session: Session, client: MeshClient, result: JobResult, out: string | undefined): Promise<void> {
  if (result.phase === 'done') {
    const nodes = Object.keys(result.tasksByNode).length;
    session.tell(
      `done in ${durationText(result.elapsedMs)}${promisedText(result.promise)} on ${plural(nodes, 'node')}: ${sharesText(result)}`,
    );
    await deliverResult(session, client, result, out);
    return;
  }
  if (session.json) session.printJson({ event: 'result', result });
  const problem = result.problem ?? { code: 'MESH_JOB_CANCELLED', message: `the job was ${result.phase}` };
  session.tell(...reportLines(problem, session.paintErr));
  throw new ExitWith(result.phase === 'cancelled' ? 'cancelled' : 'failed');
}

function sharesText({ tasksByNode }: JobResult): string {
  const entries = Object.entries(tasksByNode).sort(([, a], [, b]) => b - a);
  return entries.map(([node, tasks]) => `${node} ${plural(tasks, 'task')}`).join(', ');
}

/** Which nodes work is not in a job's state: asked for now and then, where a person looks on. */
function watchNodes(session: Session, client: MeshClient, handle: JobHandle) {
  let counts: Record<string, number> | undefined;
  let asking = false;
  const timer = setInterval(() => {
    if (asking || handle.state?.phase !== 'running') return;
    asking = true;
    client
      .job(handle.job)
      .then(({ tasks }) => {
        counts = {};
        for (const { node, state } of tasks) {
          if (node !== undefined && (state === 'running' || state === 'moving')) counts[node] = (counts[node] ?? 0) + 1;
        }
      })
      // It is an ornament: without an answer nothing is shown.
      .catch(() => undefined)
      .finally(() => {
        asking = false;
      });
  }, nodesEveryMs);
  if (session.json || !session.io.stderr.isTTY) clearInterval(timer);
  return { runningByNode: () => counts ?? {}, stop: () => clearInterval(timer) };
}

function onceInterrupted({ io }: Session): { readonly happened: Promise<undefined>; stop(): void } {
  let stop = () => {};
  const happened = new Promise<undefined>((resolve) => {
    stop = io.onInterrupt(() => {
      // A second ^C ends the process, whatever it is doing.
      stop();
      resolve(undefined);
    });
  });
  return { happened, stop: () => stop() };
}

/** Runs until done or ^C, which throws `ExitWith`: for what comes before a job is published. */
export async function untilInterrupted<T>(session: Session, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interruption = onceInterrupted(session);
  const interrupted = interruption.happened.then(() => {
    controller.abort(new MeshError('MESH_TASK_CANCELLED', 'interrupted'));
    throw new ExitWith('interrupted');
  });
  try {
    return await Promise.race([run(controller.signal), interrupted]);
  } finally {
    interruption.stop();
  }
}
