// The one door to the parser (PostgreSQL's own, as WASM; one instance a thread). A text becomes facts, or the reason why it
// has none. Never remembers anything.

import { loadModule, parseSync } from 'libpg-query'
import { type Facts, joined } from './facts.ts'
import { withoutComments } from './lexer.ts'
import { factsOf } from './statements.ts'
import { field, list, type Tree } from './tree.ts'

/** To be awaited once in each thread before a statement is looked at. */
export async function loadParser(): Promise<void> {
  await loadModule()
}

export type Parsed =
  | { readonly kind: 'facts'; readonly facts: Facts }
  /** PostgreSQL will say the same of it. */
  | { readonly kind: 'error' }
  /** Nested too deeply for this parser; PostgreSQL may well take it. */
  | { readonly kind: 'gave-up' }

export function parsed(text: string): Parsed {
  if (withoutComments(text).trim() === '') return { kind: 'facts', facts: joined([]) }
  try {
    return { kind: 'facts', facts: joined(statements(text).map(factsOf)) }
  } catch (error) {
    return { kind: error instanceof Error && error.name === 'SqlError' ? 'error' : 'gave-up' }
  }
}

/** The statements of a text; null: it does not parse. */
export function treesOf(text: string): readonly (Tree | undefined)[] | null {
  try {
    return statements(text)
  } catch {
    return null
  }
}

/** The parser takes a comment for a token where it looks ahead (`NOT /* *\/ IN`), so it gets none. */
function statements(text: string): readonly (Tree | undefined)[] {
  return list(parseSync(withoutComments(text)) as unknown as Tree, 'stmts').map(one => field(one, 'stmt'))
}
