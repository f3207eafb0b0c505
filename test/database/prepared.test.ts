// Prepared statements of clients over shared server connections, and pipelines: the traps that poolers know. Real server;
// where a driver can't say what a test means, message by message.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import {
  bindMessage,
  closeMessage,
  copyFailMessage,
  describeMessage,
  executeMessage,
  flushMessage,
  parseMessage,
  portalTarget,
  queryMessage,
  statementTarget,
  syncMessage,
} from '../../src/wire/postgres/index.ts'
import { PostgresPeer } from '../tools/postgres-peer.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { type RouterUnderTest, startRouter, waitFor } from '../tools/router-harness.ts'

const ending = { after: after as TestContext['after'] }
const server: PostgresServer = await startPostgres(ending)

async function peers(
  t: TestContext,
  count: number,
  sizeMax = 1,
): Promise<[RouterUnderTest, ...PostgresPeer[]]> {
  const router = await startRouter(t, { servers: [server], pool: { sizeMax, preparedMax: 5 } })
  const all: PostgresPeer[] = []
  for (let index = 0; index < count; index++) all.push(await router.peer())
  return [router, ...all]
}

/** Values of the first column of each row, up to ReadyForQuery; errors by their code. */
async function values(peer: PostgresPeer): Promise<string[]> {
  const messages = await peer.until('Z')
  return messages.flatMap(({ type, payload }) => {
    if (type === 'D') return [payload.toString('latin1', 6, 6 + payload.readInt32BE(2))]
    return type === 'E' ? [/C([0-9A-Z]{5})\0/.exec(payload.toString('latin1'))?.[1] ?? '?'] : []
  })
}

const run = (name: string, ...parameters: string[]): Buffer[] => [
  bindMessage('', name, parameters),
  executeMessage('', 0),
]

test('the same name of two clients is each one’s own statement, on one server connection', async t => {
  const [, one, other] = (await peers(t, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  one.write(parseMessage('s', 'SELECT 1'), syncMessage)
  assert.equal(await one.types(), '1 ZI')
  other.write(parseMessage('s', 'SELECT 2'), syncMessage)
  assert.equal(await other.types(), '1 ZI')
  for (let round = 0; round < 3; round++) {
    one.write(...run('s'), syncMessage)
    other.write(...run('s'), syncMessage)
    assert.deepEqual(await values(one), ['1'])
    assert.deepEqual(await values(other), ['2'])
  }
})

test('a statement is prepared once a server connection, whoever asks, and again where it is not', async t => {
  const [router, one, other] = (await peers(t, 2, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  one.write(parseMessage('a', 'SELECT $1::int'), ...run('a', '1'), syncMessage)
  assert.equal(await one.types(), '1 2 D C ZI')
  other.write(
    parseMessage('b', 'SELECT $1::int'),
    describeMessage(statementTarget, 'b'),
    ...run('b', '2'),
    syncMessage,
  )
  assert.equal(await other.types(), '1 t T 2 D C ZI')
  // On another connection, while the first is kept busy.
  one.write(queryMessage('BEGIN'))
  await one.types()
  other.write(queryMessage('BEGIN'))
  await other.types()
  for (const [peer, name] of [
    [one, 'a'],
    [other, 'b'],
  ] as const) {
    peer.write(...run(name, '3'), syncMessage, queryMessage('SELECT count(*) FROM pg_prepared_statements'))
    assert.deepEqual(await values(peer), ['3'])
    assert.deepEqual(await values(peer), ['1'])
    peer.write(queryMessage('COMMIT'))
    await peer.types()
  }
  assert.equal(router.status().pins.transaction, 0)
})

test('no more statements are kept on a server connection than may be', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  for (let index = 0; index < 12; index++) {
    peer.write(parseMessage(`s${index}`, `SELECT ${index}`), syncMessage)
    assert.equal(await peer.types(), '1 ZI')
  }
  for (let index = 0; index < 12; index++) {
    peer.write(...run(`s${index}`), syncMessage)
    assert.deepEqual(await values(peer), [String(index)])
  }
  peer.write(queryMessage('SELECT count(*) FROM pg_prepared_statements'))
  assert.deepEqual(await values(peer), ['5'])
})

test('a client that prepares without end is refused with 53400', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  for (let index = 0; index < 100; index++)
    peer.write(parseMessage(`s${index}`, `SELECT ${index}`), syncMessage)
  await peer.types(100)
  peer.write(parseMessage('one too many', 'SELECT 1'), syncMessage)
  const messages = await peer.rest()
  assert.match(messages[0]?.payload.toString() ?? '', /53400.*DATABASE_PREPARED_FULL/s)
})

test('Close and DEALLOCATE forget for one client what others still have', async t => {
  const [, one, other] = (await peers(t, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  for (const peer of [one, other]) {
    peer.write(parseMessage('s', 'SELECT 5'), parseMessage('r', 'SELECT 6'), syncMessage)
    await peer.types()
  }
  one.write(closeMessage(statementTarget, 's'), syncMessage, queryMessage('DEALLOCATE r'))
  assert.equal(await one.types(2), '3 ZI C ZI')
  for (const name of ['s', 'r']) {
    one.write(...run(name), syncMessage)
    assert.deepEqual(await values(one), ['26000'])
  }
  other.write(...run('s'), ...run('r'), syncMessage)
  assert.deepEqual(await values(other), ['5', '6'])
  other.write(queryMessage('DEALLOCATE ALL'))
  assert.equal(await other.types(), 'C ZI')
  other.write(...run('s'), syncMessage)
  assert.deepEqual(await values(other), ['26000'])
  other.write(parseMessage('s', 'SELECT 7'), ...run('s'), syncMessage)
  assert.deepEqual(await values(other), ['7'])
})

test('DISCARD ALL takes the statements of its session, and no other’s', async t => {
  const [, one, other] = (await peers(t, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  for (const peer of [one, other]) {
    peer.write(parseMessage('s', 'SELECT 5'), syncMessage)
    await peer.types()
  }
  one.write(queryMessage('DISCARD ALL'))
  assert.equal(await one.types(), 'C ZI')
  one.write(...run('s'), syncMessage)
  assert.deepEqual(await values(one), ['26000'])
  other.write(...run('s'), syncMessage)
  assert.deepEqual(await values(other), ['5'])
})

test('a prepared statement outlives a change of its table: no "cached plan must not change result type"', async t => {
  const [router, one, other] = (await peers(t, 2, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  one.write(
    queryMessage('CREATE TABLE IF NOT EXISTS prepared_wide (a int); INSERT INTO prepared_wide VALUES (1)'),
  )
  await one.types()
  for (const peer of [one, other]) {
    peer.write(parseMessage('s', 'SELECT * FROM prepared_wide'), ...run('s'), syncMessage)
    assert.deepEqual(await values(peer), ['1'])
  }
  one.write(queryMessage('ALTER TABLE prepared_wide ADD COLUMN b int'))
  await one.types()
  for (const peer of [one, other]) {
    peer.write(...run('s'), syncMessage)
    assert.deepEqual(await values(peer), ['1'])
  }
  // Changed behind the router's back: one error as PostgreSQL's own, and then it is prepared anew.
  const direct = await PostgresPeer.logIn({
    host: server.host,
    port: server.port,
    database: 'app',
    user: 'app',
    password: 'secret',
  })
  direct.write(queryMessage('ALTER TABLE prepared_wide ADD COLUMN c int'))
  await direct.types()
  direct.close()
  const seen: string[] = []
  for (let round = 0; round < 4 && seen.at(-1) !== '1'; round++) {
    one.write(...run('s'), syncMessage)
    seen.push(...(await values(one)))
  }
  assert.equal(seen.at(-1), '1', seen.join(' '))
  await router.idle()
})

test('the unnamed statement is its session’s over Syncs, also when others used the connection meanwhile', async t => {
  const [, one, other] = (await peers(t, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  one.write(parseMessage('', 'SELECT $1::text', [25]), syncMessage)
  assert.equal(await one.types(), '1 ZI')
  other.write(parseMessage('', 'SELECT 2'), ...run(''), syncMessage)
  assert.deepEqual(await values(other), ['2'])
  one.write(describeMessage(statementTarget, ''), syncMessage)
  assert.equal(await one.types(), 't T ZI')
  other.write(queryMessage('SELECT 3'))
  await other.types()
  one.write(...run('', 'mine'), syncMessage)
  assert.deepEqual(await values(one), ['mine'])
  one.write(queryMessage('SELECT 1'))
  await one.types()
  one.write(...run('', 'gone'), syncMessage)
  assert.deepEqual(await values(one), ['26000'])
})

test('an error in a pipeline passes over what follows, up to its Sync and no further', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  peer.write(
    parseMessage('good', 'SELECT 1'),
    ...run('good'),
    parseMessage('bad', 'SELECT nonsense'),
    parseMessage('lost', 'SELECT 2'),
    ...run('lost'),
    syncMessage,
    ...run('good'),
    syncMessage,
    ...run('lost'),
    syncMessage,
    parseMessage('lost', 'SELECT 3'),
    ...run('lost'),
    syncMessage,
  )
  assert.equal(await peer.types(4), '1 2 D C E42703 ZI 2 D C ZI E26000 ZI 1 2 D C ZI')
})

test('a reply of the router’s own keeps its place in a pipeline', async t => {
  const [, one, other] = (await peers(t, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  other.write(parseMessage('x', 'SELECT 1'), syncMessage)
  await other.types()
  one.write(
    parseMessage('a', 'SELECT pg_sleep(0.05)'),
    ...run('a'),
    // The server has it already: its ParseComplete is ours.
    parseMessage('b', 'SELECT 1'),
    ...run('b'),
    closeMessage(statementTarget, 'b'),
    parseMessage('c', 'SHOW tenfold.reads'),
    describeMessage(statementTarget, 'c'),
    ...run('c'),
    syncMessage,
  )
  assert.equal(await one.types(), '1 2 D C 1 2 D C 3 1 t T 2 D C ZI')
})

test('a name that a client has already is refused for a statement of the router’s own too', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  for (const former of ['SELECT 1', 'SHOW tenfold.route']) {
    peer.write(closeMessage(statementTarget, 's'), parseMessage('s', former), syncMessage)
    assert.equal(await peer.types(), '3 1 ZI')
    peer.write(parseMessage('s', 'SHOW tenfold.route'), ...run('s'), syncMessage)
    assert.deepEqual(await values(peer), ['42P05'])
    peer.write(...run('s'), syncMessage)
    assert.deepEqual(await values(peer), [former === 'SELECT 1' ? '1' : 'primary'])
  }
})

test('a Close behind an error is passed over, as what stands before and after it in one pipeline', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  peer.write(parseMessage('s', 'SELECT 1'), syncMessage)
  assert.equal(await peer.types(), '1 ZI')
  const failing = [bindMessage('', 'nobody', []), closeMessage(statementTarget, 's'), syncMessage]
  peer.write(...failing, ...run('s'), syncMessage)
  assert.equal(await peer.types(), 'E26000 ZI')
  assert.deepEqual(await values(peer), ['1'])
  peer.write(closeMessage(statementTarget, 's'), parseMessage('s', 'SELECT 2'), ...run('s'), syncMessage)
  assert.deepEqual(await values(peer), ['2'])
})

test('a COPY behind a Close that waits for its outcome gets its data', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  peer.write(queryMessage('CREATE TEMP TABLE words (word int)'))
  await peer.types()
  peer.write(parseMessage('s', 'SELECT 1'), syncMessage)
  await peer.types()
  const copy = [queryMessage('COPY words FROM STDIN'), syncMessage, copyFailMessage('no more')]
  peer.write(bindMessage('', 'nobody', []), syncMessage, closeMessage(statementTarget, 's'), ...copy)
  peer.write(queryMessage('SELECT 7'))
  const answers = [await peer.types(), await peer.types()]
  assert.deepEqual(answers, ['E26000 ZI', '3 G E57014 ZI'])
  assert.deepEqual(await values(peer), ['7'])
})

test('a pipeline sent in one piece is one transaction a Sync, in order', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  peer.write(queryMessage('CREATE TABLE IF NOT EXISTS prepared_order (n int)'))
  await peer.types()
  const frames: Buffer[] = []
  for (let index = 0; index < 300; index++)
    frames.push(parseMessage('', `INSERT INTO prepared_order VALUES (${index})`), ...run(''), syncMessage)
  peer.write(...frames, queryMessage('SELECT count(*) FROM prepared_order'))
  await peer.types(300)
  assert.deepEqual(await values(peer), ['300'])
})

test('a portal that is read in pieces keeps its connection until its Sync', async t => {
  const [router, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  peer.write(
    parseMessage('', 'SELECT generate_series(1, 5)'),
    bindMessage('p', '', []),
    describeMessage(portalTarget, 'p'),
    executeMessage('p', 2),
    flushMessage,
  )
  for (const type of ['1', '2', 'T', 'D', 'D', 's']) assert.equal((await peer.next())?.type, type)
  assert.equal(router.status().pins.batch, 1)
  peer.write(executeMessage('p', 0), syncMessage)
  assert.equal(await peer.types(), 'D D D C ZI')
  await router.idle()
})

test('Bind in a later packet than its Parse goes to the same server', async t => {
  const [router, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  peer.write(parseMessage('', 'SELECT $1::int'))
  await waitFor(
    () => router.status().pins.batch === 1,
    () => 'the batch is not open',
  )
  peer.write(...run('', '8'), syncMessage)
  assert.equal(await peer.types(), '1 2 D C ZI')
})

test('messages cut anywhere are the same messages', async t => {
  const [, peer] = (await peers(t, 1)) as [RouterUnderTest, PostgresPeer]
  const bytes = Buffer.concat([parseMessage('cut', 'SELECT $1::int + 1'), ...run('cut', '41'), syncMessage])
  for (let at = 0; at < bytes.length; at++) {
    peer.write(bytes.subarray(at, at + 1))
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.deepEqual(await values(peer), ['42'])
})

test('a change of a table inside a transaction counts for others when it is committed', async t => {
  const [, one, other] = (await peers(t, 2, 2)) as [RouterUnderTest, PostgresPeer, PostgresPeer]
  one.write(queryMessage('DROP TABLE IF EXISTS prepared_later; CREATE TABLE prepared_later (a int)'))
  await one.types()
  other.write(parseMessage('s', 'SELECT * FROM prepared_later'), ...run('s'), syncMessage)
  assert.equal(await other.types(), '1 2 C ZI')
  one.write(queryMessage('BEGIN'), queryMessage('CREATE TABLE prepared_other (b int)'))
  await one.types(2)
  // Prepared anew here, and again after the COMMIT, which changes what it reads.
  other.write(...run('s'), syncMessage)
  assert.equal(await other.types(), '2 C ZI')
  one.write(queryMessage('ALTER TABLE prepared_later ADD COLUMN c int'))
  await one.types()
  one.write(queryMessage('COMMIT'))
  await one.types()
  other.write(...run('s'), syncMessage)
  assert.equal(await other.types(), '2 C ZI')
})
