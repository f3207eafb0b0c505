// The comment in front of a statement that says where it is to go: `/* tenfold: primary */`, `/* tenfold: reads=any */`.

import type { StatementInfo } from './contract.ts'

const hints: readonly string[] = ['primary', 'fresh', 'session', 'any', 'replica']

/** What follows `tenfold:`. Words that are none of ours say nothing. */
export function hintOf(text: string | null): StatementInfo['hint'] {
  const [, word] = /^(?:reads\s*=\s*)?'?([a-z]+)'?$/i.exec(text?.trim() ?? '') ?? []
  const lower = word?.toLowerCase() ?? ''
  return hints.includes(lower) ? (lower as StatementInfo['hint']) : null
}
