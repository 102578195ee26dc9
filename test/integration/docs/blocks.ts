/** One fenced block of a document: "```sh run exit=2" has the language `sh` and the marks `run` and `exit`. */
export interface Block {
  readonly language: string;
  /** `file=job.yaml` gives "job.yaml", a bare word gives "". */
  readonly marks: ReadonlyMap<string, string>;
  readonly text: string;
  /** Of the opening fence: for messages. */
  readonly line: number;
}

/** What stands under one heading of level 2. */
export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** Everything under "## " headings that has blocks, in order; what stands before the first is called "introduction". */
export function sectionsOf(markdown: string): Section[] {
  const sections: { title: string; blocks: Block[] }[] = [{ title: 'introduction', blocks: [] }];
  let open: { language: string; marks: Map<string, string>; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open !== undefined) {
      if (line !== '```') open.lines.push(line);
      else {
        const { language, marks, lines } = open;
        sections
          .at(-1)!
          .blocks.push({ language, marks, line: open.line, text: lines.map((each) => `${each}\n`).join('') });
        open = undefined;
      }
    } else if (line.startsWith('```')) open = { ...readInfo(line.slice(3)), line: index + 1, lines: [] };
    else if (line.startsWith('## ')) sections.push({ title: line.slice(3), blocks: [] });
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} does not end`);
  return sections.filter(({ blocks }) => blocks.length > 0);
}

function readInfo(info: string): { language: string; marks: Map<string, string> } {
  const [language = '', ...words] = info.split(' ');
  const marks = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    marks.set(at < 0 ? word : word.slice(0, at), at < 0 ? '' : word.slice(at + 1));
  }
  return { language, marks };
}
