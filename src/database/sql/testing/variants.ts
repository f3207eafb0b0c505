// Other texts of the same statement: other values, spaces, comments, letters' case; and texts put together from pieces that
// lexers get wrong. Both by a seed.

import { scanSync } from 'libpg-query'
import type { Random } from '../../../kit/random.ts'

interface Token {
  readonly text: string
  readonly name: string
  readonly keyword: boolean
  /** What stood between it and the one before. */
  readonly gap: boolean
}

function tokensOf(sql: string): readonly Token[] {
  const bytes = Buffer.from(sql)
  let before = 0
  return scanSync(sql)
    .tokens.filter(token => token.tokenName !== 'SQL_COMMENT' && token.tokenName !== 'C_COMMENT')
    .map(token => {
      const text = bytes.subarray(token.start, token.end).toString()
      const gap = token.start > before
      before = token.end
      return { text, name: token.tokenName, keyword: token.keywordKind !== 0, gap }
    })
}

const strings = [
  "'x'",
  "'it''s'",
  "'-- no'",
  "'/*'",
  "'*/'",
  "''",
  "'$1'",
  "'; drop'",
  "E'\\''",
  "'FOR UPDATE'",
  "'\\'",
]
const numbers = ['0', '7', '12345678901', '1_0']
const gaps = [' ', '\n', '\t ', '  ', ' /* a comment */ ', " -- it's\n", '/* a /* nested */ one */']

/** @param values whether those of strings and numbers are changed as well */
export function variantOf(sql: string, random: Random, values: boolean): string {
  const one = (list: readonly string[]): string => list[random.below(list.length)] as string
  // Letters' case makes another shape: half of the variants are to be of the same.
  const cased = random.below(2) === 0
  let out = ''
  for (const [index, token] of tokensOf(sql).entries()) {
    if (index > 0 && token.gap) out += one(gaps)
    if (values && token.name === 'SCONST' && token.text.startsWith("'")) out += one(strings)
    else if (values && token.name === 'ICONST' && /^\d+$/.test(token.text)) out += one(numbers)
    else
      out += cased && (token.keyword || token.name === 'IDENT') ? otherCase(token.text, random) : token.text
  }
  return out
}

function otherCase(text: string, random: Random): string {
  if (text.startsWith('"') || /^u&/i.test(text)) return text
  const way = random.below(3)
  return way === 0 ? text : way === 1 ? text.toUpperCase() : text.toLowerCase()
}

const pieces = [
  'select',
  '1',
  "'a'",
  "''",
  "'",
  "E'\\''",
  "E'",
  "\\'",
  '\\',
  '"a"',
  '"',
  '""',
  '--',
  '-',
  '\n',
  '/*',
  '*/',
  '*',
  '/',
  '$$',
  '$a$',
  '$1',
  '$',
  'nextval',
  '(',
  ')',
  "nextval('s')",
  "set_config('a','b',false)",
  'pg_advisory_lock(1)',
  ' for update',
  ' from t',
  ';',
  'listen x',
  'insert into t values (1)',
  ',',
  '+',
  '::text',
  'U&',
  '&',
  'B',
  'x',
  'e',
  '.',
  '..',
  '1e5',
  '0x1',
  ' ',
  ' into temp u',
  'é',
  ' union ',
  'select 1',
  '@-',
  '|| ',
]

export function soup(random: Random): string {
  const count = 1 + random.below(9)
  const parts = Array.from({ length: count }, () => pieces[random.below(pieces.length)] as string)
  return `select 1 ${parts.join(random.below(2) === 0 ? '' : ' ')}`
}
