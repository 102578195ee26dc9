import { limits, MeshError } from '../../contract/index.ts';
import { prepareModule } from './prepare-module.ts';

/**
 * Whether a module is a program that nodes run with so much memory: what the author's machine looks at before the mesh is asked for
 * anything. Throws what a node would say, `MESH_TASK_CODE_INVALID`, `MESH_TASK_MEMORY` or `MESH_LIMIT_EXCEEDED`, with `where`.
 */
export async function checkProgram(code: Uint8Array, memoryBytes: number, where: string): Promise<void> {
  if (code.length > limits.codeBytes) {
    throw new MeshError('MESH_LIMIT_EXCEEDED', `codeBytes is ${limits.codeBytes}, the module has ${code.length}`, {
      where,
    });
  }
  try {
    // First ours, which says what mends it; then V8's, which looks at every instruction.
    prepareModule(code, memoryBytes, memoryBytes);
    await WebAssembly.compile(code);
  } catch (error) {
    if (error instanceof MeshError) {
      const { mend } = error;
      throw new MeshError(error.code, error.message, { where, ...(mend === undefined ? {} : { mend }) });
    }
    throw new MeshError('MESH_TASK_CODE_INVALID', `it does not compile: ${(error as Error).message}`, { where });
  }
}
