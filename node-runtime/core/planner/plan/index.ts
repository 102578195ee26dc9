export { planAnswerOf } from './make-plan.ts';
export { foresee, lateProblem, probabilityOf, promiseStateOf, watchPromises } from './promises.ts';
