// The router as a process, killed again and again while others write: a cache inside a service, told over the bus, never keeps
// what the database no longer has.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from '../../src/io/free-port.ts'
import { connectLines } from '../../src/io/line-socket.ts'
import { seededRandom } from '../../src/kit/random.ts'
import { FeedCache } from '../tools/feed-cache.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const program = `import { runRouter } from '${join(import.meta.dirname, '../../src/database/index.ts')}'
await runRouter({ stateDirectory: process.argv[1], nonce: 'of the test' })`
const ids = 20
const kills = 4

async function stateFor(t: TestContext, server: PostgresServer, port: number): Promise<string> {
  const state = mkdtempSync(join(tmpdir(), 'tenfold-feed-'))
  t.after(() => rmSync(state, { recursive: true, force: true }))
  const feed = {
    database: 'main',
    rules: [{ on: 'rows', tags: ['row:{id}'], urls: [], keys: [] }],
    tables: [],
  }
  const databases = [{ ...databaseOf({ servers: [server] }), own: true, feed }]
  const feeds = { bus: { port, token: 'secret' }, edges: false, shared: [] }
  mkdirSync(join(state, 'router'))
  writeFileSync(
    join(state, 'router', 'snapshot.json'),
    JSON.stringify({ format: 1, version: 1, databases, feeds }),
  )
  return state
}

function router(state: string): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', program, state], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

/** As the client of the application cache: it comes back by itself, and says where it was. */
function listening(t: TestContext, port: number, cache: FeedCache): { lines: number } {
  let position: unknown = null
  let over = false
  let leave = (): void => {}
  const counts = { lines: 0 }
  const run = async (): Promise<void> => {
    while (!over) {
      const ended = Promise.withResolvers<void>()
      const socket = await connectLines({ host: '127.0.0.1', port }, 10_000, {
        onValue: value => {
          const line = value as { position: unknown; gap?: boolean; everything?: boolean; tags?: string[] }
          counts.lines++
          position = line.position
          cache.forget({ everything: line.gap === true || line.everything === true, tags: line.tags ?? [] })
          socket?.send({ ack: position })
        },
        onEnd: () => ended.resolve(),
      }).catch(() => null)
      if (socket === null) {
        await sleep(20)
        continue
      }
      leave = () => {
        socket.close()
        ended.resolve()
      }
      socket.send({ token: 'secret', after: position })
      await ended.promise
    }
  }
  const running = run()
  t.after(async () => {
    over = true
    leave()
    await running
  })
  return counts
}

test('a router that is killed while rows change leaves nothing stale in a cache', async t => {
  const server = await startPostgres(t, { settings: { wal_level: 'logical' } })
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: server.url })
    client.on('error', () => {})
    await client.connect()
    t.after(() => client.end().catch(() => {}))
    return client
  }
  const [writer, reader] = [await connect(), await connect()]
  await writer.query('CREATE TABLE rows (id int PRIMARY KEY, value int)')
  await writer.query(`INSERT INTO rows SELECT i, 0 FROM generate_series(1, ${ids}) AS i`)
  const port = await freePort('127.0.0.1', seededRandom(process.pid), new Set())
  const state = await stateFor(t, server, port)
  const cache = new FeedCache()
  let child = router(state)
  let exit = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const counts = listening(t, port, cache)
  let writing = true
  let written = 0
  const writes = (async () => {
    while (writing) {
      await writer.query('UPDATE rows SET value = value + 1 WHERE id = $1', [1 + (written++ % ids)])
      await sleep(2)
    }
  })()
  const reads = (async () => {
    for (let at = 0; writing; at++) {
      await cache.read(1 + (at % ids), async () => {
        const { rows } = await reader.query('SELECT value FROM rows WHERE id = $1', [1 + (at % ids)])
        return rows[0].value
      })
      if (at % 10 === 0) await sleep(1)
    }
  })()
  const told = async (times: number): Promise<void> => {
    const from = cache.forgotten
    const end = performance.now() + 60_000
    while (cache.forgotten < from + times) {
      assert.ok(performance.now() < end, `changes are told: ${counts.lines} lines`)
      await sleep(10)
    }
  }
  for (let kill = 0; kill < kills; kill++) {
    await told(50)
    child.kill('SIGKILL')
    await exit
    // What is committed now is in the log only.
    const until = written + 20
    while (written < until) await sleep(5)
    child = router(state)
    exit = once(child, 'close')
  }
  await told(50)
  writing = false
  await Promise.all([writes, reads])
  const { rows } = await writer.query('SELECT id, value FROM rows')
  assert.ok(cache.hits > 0, 'it was a cache')
  await cache.settles(new Map(rows.map(row => [row.id, row.value])), () => JSON.stringify(counts))
})
