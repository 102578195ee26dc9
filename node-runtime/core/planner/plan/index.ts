export { planAnswerOf } from './make-plan.ts';
export { foreseeAtOnce, lateProblem, probabilityOf, promiseStateOf, watchPromises } from './promises.ts';
