// What may be shown of a statement's text wherever it came from: PostgreSQL's own lists (pg_stat_statements, pg_stat_activity)
// keep the values of statements that are not about rows, such as the password in ALTER ROLE. Never shows a value.

import { shapeOf, shownText } from './lexer.ts'

/** `ALTER ROLE a PASSWORD $1`: numbers for values, comments gone. Made without a parse; texts may be cut anywhere. */
export function shownStatement(text: string): string {
  return shownText(shapeOf(text).key)
}
