// The comment in front of a statement that says where it is to go: `/* tenfold: primary */`, `/* tenfold: reads=any */`.

import type { StatementInfo } from './contract.ts'

const hints: readonly string[] = ['primary', 'fresh', 'session', 'any', 'replica']

const cachePattern = /\bcache\s*=\s*'?(\d{1,9})\s*(ms|s|min|m|h)\b'?/i
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 }

/** How long its result may be kept, in milliseconds: `cache=10s`; null: nothing is said. */
export function cacheMsOf(text: string | null): number | null {
  const [, digits, unit] = cachePattern.exec(text ?? '') ?? []
  return digits === undefined ? null : Number(digits) * (unitMs[(unit as string).toLowerCase()] as number)
}

/** What follows `tenfold:`. Words that are none of ours say nothing. */
export function hintOf(text: string | null): StatementInfo['hint'] {
  const place = text?.replace(cachePattern, '').replace(/^[\s,;]+|[\s,;]+$/g, '') ?? ''
  const [, word] = /^(?:reads\s*=\s*)?'?([a-z]+)'?$/i.exec(place) ?? []
  const lower = word?.toLowerCase() ?? ''
  return hints.includes(lower) ? (lower as StatementInfo['hint']) : null
}
