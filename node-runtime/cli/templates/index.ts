import { assemblyscript } from './assemblyscript.ts';
import { c } from './c.ts';
import { rust } from './rust.ts';
import type { Template } from './template.ts';
import { typescript } from './typescript.ts';

export { schemaFile } from './template.ts';

export const templates: Readonly<Record<string, Template>> = { typescript, assemblyscript, c, rust };
