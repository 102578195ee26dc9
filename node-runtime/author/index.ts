/** Makes one file of a task's code, at submission, on the author's machine. Never lands on a device. */
export { bundleFunction, type FunctionSource } from './bundle-function.ts';
export { type BundledTask, type BundleWarning, bundleTask } from './bundle-task.ts';
