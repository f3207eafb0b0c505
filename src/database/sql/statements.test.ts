// The table of testing/statements.txt: what the book says of each statement, and whether real servers agree: a primary in
// and out of read-only transactions, and a server in recovery, which is what a replica is.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Client, type DatabaseError } from 'pg'
import { startPostgres } from '../../../test/tools/postgres-server.ts'
import { createStatementBook, loadParser, readCatalogue, type StatementBook } from './index.ts'
import { type GoldenLine, goldenLines, rewriteGolden, wordsOf } from './testing/golden.ts'
import { asStandby, schemaSql } from './testing/standby.ts'

const lines = goldenLines()
const statements = lines.filter(line => line.heading === '')
const readOnlyTransaction = '25006'
/** Tables without a log, and temporary ones, in recovery. */
const notInRecovery = ['25006', '0A000', '55000']

describe('what the book says of statements', () => {
  const book = createStatementBook()

  before(loadParser)

  test('is what the table says, and what PostgreSQL does', async t => {
    assert.ok(statements.length >= 400)
    const server = await startPostgres(t)
    const client = new Client({ connectionString: server.url })
    client.on('error', () => undefined)
    await client.connect()
    await client.query(schemaSql)
    // Whoever reads the catalogue need not own anything.
    await learnFrom(book, server.url.replace('tenfold:', 'app:'))
    if (process.env.TENFOLD_REWRITE_GOLDEN === '1') rewriteGolden(lines, sql => wordsOf(book.look(sql)))
    await t.test('the table holds', () => agree(statements.map(line => differs(book, line))))
    await t.test('what it takes for a read, PostgreSQL lets pass in a read-only transaction', async () => {
      agree(await eachOf(one => refused(client, book, one)))
    })
    await t.test('what it says writes nothing is given no transaction id', async () => {
      agree(await eachOf(one => wroteAnyway(client, book, one)))
    })
    await client.end()
    await t.test('what it takes for a read, a server in recovery answers as the primary did', async () => {
      await asStandby(server, async replica => agree(await eachOf(one => failsThere(replica, book, one))))
    })
  })
})

async function learnFrom(book: StatementBook, url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  book.learn(
    await readCatalogue(
      async text => (await client.query<(string | null)[]>({ text, rowMode: 'array' })).rows,
    ),
  )
  await client.end()
}

function agree(problems: readonly (string | null)[]): void {
  const found = problems.filter(one => one !== null)
  assert.equal(found.length, 0, `${found.length} statements:\n${found.join('\n')}\n`)
}

const at = (line: GoldenLine): string => `statements.txt:${line.number}: ${line.sql}`

function differs(book: StatementBook, line: GoldenLine): string | null {
  const said = wordsOf(book.look(line.sql))
  return said === line.expected ? null : `${at(line)}\n  table: ${line.expected}\n  book:  ${said}`
}

async function eachOf(check: (line: GoldenLine) => Promise<string | null>): Promise<(string | null)[]> {
  const found: (string | null)[] = []
  for (const line of statements.filter(one => one.runs)) found.push(await check(line))
  return found
}

/** Inside a transaction that is undone; null: it went well, else the SQLSTATE. */
async function attempt(client: Client, begin: string, sql: string, then = ''): Promise<string | null> {
  await client.query(begin)
  try {
    await client.query(sql)
    if (then !== '') return (await client.query<{ said: string | null }>(then)).rows[0]?.said ?? null
    return null
  } catch (error) {
    return (error as DatabaseError).code ?? 'none'
  } finally {
    await client.query('ROLLBACK')
    await client.query('DISCARD ALL')
  }
}

async function refused(client: Client, book: StatementBook, line: GoldenLine): Promise<string | null> {
  const info = book.look(line.sql)
  if (info.kind === 'transaction') return null
  const code = await attempt(client, 'BEGIN READ ONLY', line.sql)
  return code === readOnlyTransaction && info.readOnly && info.hint !== 'replica'
    ? `${at(line)}: a read, and was refused`
    : null
}

async function wroteAnyway(client: Client, book: StatementBook, line: GoldenLine): Promise<string | null> {
  const info = book.look(line.sql)
  if (info.kind === 'transaction' || info.mayWrite || info.hint === 'replica') return null
  // A lock on a row is written into the row, one on a table into the log; neither changes what others see.
  if (/^locks (rows|a table)/.test(info.why)) return null
  const ask = "SELECT 'id ' || pg_current_xact_id_if_assigned() AS said"
  const id = await attempt(client, 'BEGIN', line.sql, ask)
  return id?.startsWith('id') ? `${at(line)}: writes nothing, and was given a transaction id` : null
}

async function failsThere(client: Client, book: StatementBook, line: GoldenLine): Promise<string | null> {
  const info = book.look(line.sql)
  if (!info.readOnly || info.hint === 'replica') return null
  try {
    await client.query(line.sql)
  } catch (error) {
    const { code } = error as DatabaseError
    if (notInRecovery.includes(code ?? '')) return `${at(line)}: a read, and ${(error as Error).message}`
  } finally {
    await client.query('ROLLBACK')
  }
  return null
}
