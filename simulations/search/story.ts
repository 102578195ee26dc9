import { plainText } from '../engine/plain-text.ts';
import { runScenario } from '../run.ts';
import { type Scenario, scenarioOf } from '../scenario/scenario.ts';

const linesMost = 60;

/** The command that runs a scenario again. */
export function replayCommand(scenario: Scenario): string {
  if (plainText(scenario) === plainText(scenarioOf(scenario.seed))) return `foremesh sim run --seed ${scenario.seed}`;
  return `foremesh sim run --scenario '${plainText(scenario)}'`;
}

/** What went wrong in a scenario, as a text to read: who was there, what was done to them, and what came of it. */
export function tellStory(scenario: Scenario): string {
  const { violation, trace, virtualMs } = runScenario(scenario, { trace: true });
  const { nodes, profile, jobs, faults, weather, faultsForMs, throwPercent, fetchFailPercent, checkpointPercent } =
    scenario;
  const { inventoryIntervalMs, inventoryGraceMs, mayLead, pace, voters } = scenario;
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(3)} s`;
  const lines = [
    `${nodes} node${nodes === 1 ? '' : 's'}, a broker like ${profile}; faults until ${seconds(faultsForMs)}, end at ${seconds(virtualMs)}`,
    `weather: up to ${weather.delayMostMs} ms on the way, ${weather.lossPercent} % of QoS 0 lost, ${weather.dropPercent} % of QoS 1 dropped, ${weather.duplicatePercent} % twice, ${weather.lostWillPercent} % of wills lost`,
    `tasks: ${throwPercent} % throw at first, ${fetchFailPercent} % of fetches fail, ${checkpointPercent} % of attempts make checkpoints`,
    `inventories: every ${seconds(inventoryIntervalMs)}, a new leader waits ${seconds(inventoryGraceMs)} for them`,
    `${mayLead} may lead, and are ${pace}`,
    ...voters.map(({ atMs, count, settleMs, replaceAfterMs }) => {
      const many = count === undefined ? 'as many as there can be' : String(count);
      return `${seconds(atMs)}  voters wanted: ${many}, settled for ${seconds(settleMs)}, replaced after ${seconds(replaceAfterMs)}`;
    }),
    ...jobs.map(({ job, kind, submitMs }) => `${seconds(submitMs)}  job ${job} (${kind}) is submitted`),
    ...faults.map(({ kind, atMs, forMs, machine }) => `${seconds(atMs)}  ${kind} of ${machine} for ${seconds(forMs)}`),
    '',
    ...(trace.length > linesMost ? [`... ${trace.length - linesMost} lines before`] : []),
    ...trace.slice(-linesMost),
    '',
    violation === undefined ? 'nothing is wrong' : `broken: ${violation.checker}: ${violation.message}`,
    `again: ${replayCommand(scenario)}`,
  ];
  return lines.join('\n');
}
