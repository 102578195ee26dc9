import { type ErrorCode, errorCodes, MeshError, type Problem } from '../contract/index.ts';

/** A problem that the mesh told as the error that a caller gets. A code that this release does not know becomes `fallback`. */
export function errorOfProblem(problem: Problem, fallback: ErrorCode): MeshError {
  const code = problem.code in errorCodes ? (problem.code as ErrorCode) : fallback;
  return new MeshError(code, problem.message, {
    ...(problem.where === undefined ? {} : { where: problem.where }),
    ...(problem.mend === undefined ? {} : { mend: problem.mend }),
  });
}

/** Nobody answered: says which of the two reasons it is. */
export function noAnswer(connected: boolean, what: string): MeshError {
  return connected
    ? new MeshError('MESH_NO_LEADER', `${what}: no node leads the mesh, or it did not answer in time`, {
        mend: 'do more than half of the voters run? With one voter that is the founder; `foremesh node` starts a node',
      })
    : new MeshError(
        'MESH_UNREACHABLE',
        `${what}: the connection to the broker was lost and did not come back in time`,
        {
          mend: 'is the broker running (`foremesh broker`)?',
        },
      );
}
