// Statements for the target until they are sent together. Rows that follow each other into one table, or out of it, go in one
// statement. What changes a row must meet it: else both sides are not what they should be, and nothing of it is committed.

/** What a change of the source is at the target. */
export type Change =
  /** A row that others may stand beside: `head` begins the statement, `tail` ends it. */
  | { readonly kind: 'row'; readonly head: string; readonly row: string; readonly tail: string }
  /** `meets`: rows that it must meet; -1: any number. */
  | { readonly kind: 'statement'; readonly sql: string; readonly meets: number }

/** A statement's rows: more gain little, and the server keeps its plan of all of them. */
const rowsMax = 100

/** Of a DELETE, for which rows must be there. */
export const deletes = 'DELETE FROM ONLY '

export interface Statement {
  readonly sql: string
  readonly meets: number
}

export class Batch {
  #statements: Statement[] = []
  #head = ''
  #tail = ''
  #rows: string[] = []
  /** Length of what is in it. */
  characters = 0
  /** Changes in it. */
  changes = 0

  get empty(): boolean {
    return this.changes === 0
  }

  add(change: Change): void {
    this.changes++
    if (change.kind === 'statement') {
      this.#close()
      this.#statements.push(change)
      this.characters += change.sql.length
      return
    }
    if (change.head !== this.#head || this.#rows.length === rowsMax) {
      this.#close()
      this.#head = change.head
      this.#tail = change.tail
    }
    this.#rows.push(change.row)
    this.characters += change.row.length + 2
  }

  /** All of it, in order; it is empty then. */
  take(): readonly Statement[] {
    this.#close()
    const taken = this.#statements
    this.#statements = []
    this.characters = 0
    this.changes = 0
    return taken
  }

  #close(): void {
    if (this.#rows.length === 0) return
    const sql = `${this.#head}${this.#rows.join(', ')}${this.#tail}`
    this.#statements.push({ sql, meets: this.#head.startsWith(deletes) ? this.#rows.length : -1 })
    this.#head = ''
    this.#rows = []
  }
}
