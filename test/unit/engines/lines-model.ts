/** The rule, said as plainly as possible: "\n", "\r\n" or "\r" ends a record; a last record without an end counts. */
export function linesModel(bytes: Uint8Array): string[] {
  const records: string[] = [];
  let record: number[] = [];
  let open = false;
  const end = () => {
    records.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(record)));
    record = [];
    open = false;
  };
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === 10) end();
    else if (byte === 13) {
      if (bytes[i + 1] === 10) i++;
      end();
    } else {
      record.push(byte);
      open = true;
    }
  }
  if (open) end();
  return records;
}
