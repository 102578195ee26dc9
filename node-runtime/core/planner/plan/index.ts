export { planAnswerOf } from './make-plan.ts';
