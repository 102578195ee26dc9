// The few globals needed besides ECMAScript; every host has them (Node, browsers).
declare class TextEncoder {
  encode(text: string): Uint8Array;
}
declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}
