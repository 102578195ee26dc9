import { printable, widthOf } from './text.ts';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  cell(row: Row): string;
}

/** Columns of equal width, two spaces apart, the last as long as it is; a column in which nothing stands is left out. */
export function renderTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))));
  const shown = columns.flatMap((column, index) => {
    const used = cells.some((row) => row[index] !== '');
    return used ? [{ ...column, index }] : [];
  });
  const widths = shown.map(({ title, index }) => Math.max(widthOf(title), ...cells.map((row) => widthOf(row[index]!))));
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => {
        const gap = ' '.repeat(widths[i]! - widthOf(text));
        return shown[i]!.align === 'right' ? gap + text : text + gap;
      })
      .join('  ')
      .trimEnd();
  return [line(shown.map(({ title }) => title)), ...cells.map((row) => line(shown.map(({ index }) => row[index]!)))];
}
