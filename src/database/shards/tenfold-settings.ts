// Settings of a session over shards that are Tenfold's own, answered here: `tenfold.allow_broadcast`, `tenfold.dry_run`,
// `tenfold.region` (where the client is), and `SHOW tenfold.shard`, which says where the last statement went.

import { withoutComments } from '../sql/lexer.ts'

export type TenfoldSetting =
  | { readonly kind: 'show'; readonly name: string }
  | { readonly kind: 'set'; readonly name: string; readonly value: string | null; readonly local: boolean }

const word = /\btenfold\s*\.\s*"?(allow_broadcast|dry_run|region|shard)\b/i
const show = /^\s*show\s+tenfold\s*\.\s*(allow_broadcast|dry_run|region|shard)\s*;?\s*$/i
const set =
  /^\s*set\s+(session\s+|local\s+)?tenfold\s*\.\s*(allow_broadcast|dry_run|region)\s*(?:=|\s+to\s)\s*('(?:[^']|'')*'|[\w]+)\s*;?\s*$/i
const reset = /^\s*reset\s+tenfold\s*\.\s*(allow_broadcast|dry_run|region)\s*;?\s*$/i
const begins = /^\s*(show|set|reset)\b/i

export function isTenfoldSetting(text: string): boolean {
  return word.test(text) && tenfoldSetting(text) !== null
}

/** Null: it is none of these. */
export function tenfoldSetting(text: string): TenfoldSetting | null {
  if (!word.test(text)) return null
  const bare = withoutComments(text)
  if (!begins.test(bare)) return null
  const shown = show.exec(bare)
  if (shown !== null) return { kind: 'show', name: `tenfold.${(shown[1] as string).toLowerCase()}` }
  const given = set.exec(bare)
  if (given !== null) {
    const local = /local/i.test(given[1] ?? '')
    const said = given[3] as string
    const value = said.startsWith("'") ? said.slice(1, -1).replaceAll("''", "'") : said
    const name = `tenfold.${(given[2] as string).toLowerCase()}`
    return { kind: 'set', name, value: /^default$/i.test(said) ? null : value, local }
  }
  const back = reset.exec(bare)
  if (back === null) return null
  return { kind: 'set', name: `tenfold.${(back[1] as string).toLowerCase()}`, value: null, local: false }
}

/** What a client has set with its login; '': nothing. @param said the statement that sets it anew */
export function startedWith(said: string | undefined): string {
  const found = /,\s*(E?)'((?:[^']|'')*)', false\)$/.exec(said ?? '')
  if (found === null) return ''
  const [, escapes, value = ''] = found
  return (escapes === '' ? value : value.replaceAll('\\\\', '\\')).replaceAll("''", "'")
}

/** As PostgreSQL reads a boolean; null: it is none. */
export function booleanOf(value: string): boolean | null {
  const text = value.trim().toLowerCase()
  if (/^(on|true|t|yes|y|1)$/.test(text)) return true
  return /^(off|false|f|no|n|0)$/.test(text) ? false : null
}
