// Space for one message that we say ourselves, and its parts put into it. Texts are UTF-8. A NUL in a text would end it
// early and shift what follows, so it is written as a question mark; what a peer sent as a string never has one.

import { frameHeaderBytes } from './frame.ts'

/** A frame with its header written, for `payloadBytes` bytes from `frameHeaderBytes` on. */
export function frameFor(type: number, payloadBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payloadBytes)
  frame[0] = type
  frame.writeInt32BE(4 + payloadBytes, 1)
  return frame
}

export function emptyFrame(type: number): Buffer {
  return frameFor(type, 0)
}

/** A frame of texts, each ended by NUL. */
export function textFrame(type: number, ...texts: readonly string[]): Buffer {
  const clean = texts.map(withoutNul)
  const frame = frameFor(type, sumOf(clean.map(stringBytes)))
  let at = frameHeaderBytes
  for (const text of clean) at = putString(frame, at, text)
  return frame
}

/** A frame whose payload is these bytes one after the other. */
export function bytesFrame(type: number, ...parts: readonly Buffer[]): Buffer {
  const frame = frameFor(type, sumOf(parts.map(part => part.length)))
  let at = frameHeaderBytes
  for (const part of parts) at += part.copy(frame, at)
  return frame
}

export function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '?') : text
}

/** Its bytes with the NUL behind it. */
export function stringBytes(text: string): number {
  return Buffer.byteLength(text) + 1
}

/** Where the next part goes. */
export function putString(frame: Buffer, at: number, text: string): number {
  const end = at + frame.write(text, at)
  frame[end] = 0
  return end + 1
}

/** Text with its NUL. */
export function stringPart(text: string): Buffer {
  return Buffer.from(`${withoutNul(text)}\0`)
}

export function int32Part(...values: readonly number[]): Buffer {
  const part = Buffer.allocUnsafe(4 * values.length)
  values.forEach((value, index) => {
    part.writeInt32BE(value | 0, 4 * index)
  })
  return part
}

export function int16Part(...values: readonly number[]): Buffer {
  const part = Buffer.allocUnsafe(2 * values.length)
  values.forEach((value, index) => {
    part.writeUInt16BE(value & 0xffff, 2 * index)
  })
  return part
}

/** A length, then the bytes; null is length -1. */
export function valuePart(value: Buffer | string | null): Buffer {
  if (value === null) return int32Part(-1)
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([int32Part(bytes.length), bytes])
}

export function sumOf(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0)
}
