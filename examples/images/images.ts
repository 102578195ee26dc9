/**
 * Images in the binary formats of Netpbm: PGM (P5, one byte a pixel) and PPM (P6, three). They are small enough to be read and
 * written without a library, and most programs open them.
 */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** Brightness of each pixel, 0 to 255, row by row. */
  readonly pixels: Uint8Array;
}

/** Reads a PGM or PPM of 8 bits; colours become brightness (ITU-R BT.601). Throws `Error` on anything else. */
export function decodeImage(bytes: Uint8Array): Image {
  const fields: number[] = [];
  let at = 2;
  while (fields.length < 3) {
    while (isSpace(bytes[at])) at += 1;
    if (bytes[at] === 0x23) {
      while (at < bytes.length && bytes[at] !== 0x0a) at += 1;
      continue;
    }
    let value = 0;
    const begin = at;
    for (; bytes[at]! >= 0x30 && bytes[at]! <= 0x39; at += 1) value = value * 10 + bytes[at]! - 0x30;
    if (at === begin) throw new Error('this is no image in the format PGM or PPM');
    fields.push(value);
  }
  at += 1;
  const [width, height, most] = fields as [number, number, number];
  const channels = bytes[0] === 0x50 && bytes[1] === 0x35 ? 1 : bytes[0] === 0x50 && bytes[1] === 0x36 ? 3 : 0;
  if (channels === 0 || most !== 255) throw new Error('only PGM (P5) and PPM (P6) of 8 bits can be read');
  if (bytes.length - at < width * height * channels) throw new Error('the image ends too early');
  const pixels = new Uint8Array(width * height);
  for (let i = 0; i < pixels.length; i += 1) {
    const first = at + i * channels;
    pixels[i] =
      channels === 1
        ? bytes[first]!
        : Math.round(0.299 * bytes[first]! + 0.587 * bytes[first + 1]! + 0.114 * bytes[first + 2]!);
  }
  return { width, height, pixels };
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

export function encodeImage({ width, height, pixels }: Image): Uint8Array {
  const head = new TextEncoder().encode(`P5\n${width} ${height}\n255\n`);
  const bytes = new Uint8Array(head.length + pixels.length);
  bytes.set(head);
  bytes.set(pixels, head.length);
  return bytes;
}

/** The strength of the edges (Sobel): 255 where the brightness changes most. The border has none. */
export function edgesOf({ width, height, pixels }: Image): Image {
  const edges = new Uint8Array(pixels.length);
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) {
      const at = (dx: number, dy: number) => pixels[(y + dy) * width + x + dx]!;
      const across = at(1, -1) + 2 * at(1, 0) + at(1, 1) - at(-1, -1) - 2 * at(-1, 0) - at(-1, 1);
      const down = at(-1, 1) + 2 * at(0, 1) + at(1, 1) - at(-1, -1) - 2 * at(0, -1) - at(1, -1);
      edges[y * width + x] = Math.min(255, Math.floor(Math.sqrt(across * across + down * down)));
    }
  }
  return { width, height, pixels: edges };
}

/** As wide as said, in proportion: each pixel is the mean of those it stands for. */
export function thumbnailOf({ width, height, pixels }: Image, wanted: number): Image {
  const small = Math.max(1, Math.min(wanted, width));
  const low = Math.max(1, Math.round((height * small) / width));
  const result = new Uint8Array(small * low);
  for (let y = 0; y < low; y += 1) {
    const [top, bottom] = [Math.floor((y * height) / low), Math.ceil(((y + 1) * height) / low)];
    for (let x = 0; x < small; x += 1) {
      const [left, right] = [Math.floor((x * width) / small), Math.ceil(((x + 1) * width) / small)];
      let sum = 0;
      for (let row = top; row < bottom; row += 1)
        for (let column = left; column < right; column += 1) sum += pixels[row * width + column]!;
      result[y * small + x] = Math.round(sum / ((bottom - top) * (right - left)));
    }
  }
  return { width: small, height: low, pixels: result };
}

/** Cuts an image into tiles of `size` pixels or less, row by row, and names where each begins. */
export function tilesOf({ width, height, pixels }: Image, size: number): { x: number; y: number; tile: Image }[] {
  const tiles: { x: number; y: number; tile: Image }[] = [];
  for (let y = 0; y < height; y += size) {
    for (let x = 0; x < width; x += size) {
      const tile = { width: Math.min(size, width - x), height: Math.min(size, height - y) };
      const cut = new Uint8Array(tile.width * tile.height);
      for (let row = 0; row < tile.height; row += 1) {
        const from = (y + row) * width + x;
        cut.set(pixels.subarray(from, from + tile.width), row * tile.width);
      }
      tiles.push({ x, y, tile: { ...tile, pixels: cut } });
    }
  }
  return tiles;
}

/** An image that is the same for the same number: discs and a gradient. For trying the job without photographs. */
export function sampleImage(number: number, width = 160, height = 120): Image {
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const centre = 20 + ((number * 37) % (width - 40));
      const inDisc = (x - centre) ** 2 + (y - height / 2) ** 2 < (15 + number * 3) ** 2;
      pixels[y * width + x] = inDisc ? 230 : Math.floor((x * 120) / width + ((number * 16) % 64));
    }
  }
  return { width, height, pixels };
}
