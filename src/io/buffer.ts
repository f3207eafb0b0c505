// Buffer methods that Node and Bun have and their types leave out. Types only.

declare global {
  interface Buffer {
    /** Bytes as Latin-1 text: one character a byte. */
    latin1Slice(from?: number, to?: number): string
    /** Bytes as UTF-8 text. */
    utf8Slice(from?: number, to?: number): string
    /** Text as bytes, one a character; how many were written. */
    latin1Write(text: string, at?: number): number
  }
}

export type Bytes = Buffer
