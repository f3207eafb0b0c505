// The text of a token that makes reads elsewhere see a write: `TIMELINE/POSITION`, decimal and hexadecimal: `3/16B374D848`
// stands for position 16/B374D848 of timeline 3. Not secret, not signed: a wrong one makes its owner's reads slower.

import type { LogPlace } from './fresh-read.ts'

/** Ten digits of a uint32, a stroke, 14 hexadecimal digits (exact below 2^53). */
export const tokenLengthMax = 25
const form = /^([1-9]\d{0,9})\/(0|[1-9A-F][0-9A-F]{0,13})$/

export function tokenText({ timeline, lsn }: LogPlace): string {
  return `${timeline}/${lsn.toString(16).toUpperCase()}`
}

/** Null: it is no token. */
export function parseToken(text: string): LogPlace | null {
  const parts = text.length > tokenLengthMax ? null : form.exec(text)
  if (parts === null) return null
  const timeline = Number(parts[1])
  const lsn = Number.parseInt(parts[2] as string, 16)
  return timeline > 0xffff_ffff || !Number.isSafeInteger(lsn) ? null : { timeline, lsn }
}

/**
 * Which of two tokens goes on. On one timeline the further one; on two the one given last, because positions of two
 * timelines can't be compared.
 */
export function laterToken(before: string, given: string): string {
  const [old, young] = [parseToken(before), parseToken(given)]
  if (old === null || young === null) return young === null ? before : given
  return old.timeline === young.timeline && old.lsn > young.lsn ? before : given
}
