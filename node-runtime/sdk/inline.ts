/** Up to this size content stands in the spec itself and saves a round trip; larger content is a blob, sent once. */
export const inlineContentBytes = 4_096;
/** All of it together, so that a job of many stages still fits one message. */
const inlineJobBytes = 32_768;

/** What of a job's code and input stands in its spec. */
export class InlineRoom {
  #left = inlineJobBytes;

  /** The text to write into the spec; undefined for what must be a blob: large, or not UTF-8. */
  take(content: Uint8Array): string | undefined {
    if (content.length > inlineContentBytes || content.length > this.#left) return undefined;
    try {
      // A byte order mark is content like any other.
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
      this.#left -= content.length;
      return text;
    } catch {
      return undefined;
    }
  }
}
