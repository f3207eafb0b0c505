// The change feed over failovers of real servers: what was written meanwhile is never left in a cache.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { ChangeFeed, type FeedRecord } from '../../src/database/feed/feed.ts'
import type { FeedPlace } from '../../src/database/feed/place.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { type FailoverGroup, once, startedGroup, whole } from '../tools/failover-harness.ts'
import { FeedCache } from '../tools/feed-cache.ts'

const ids = 20

function placeIn(made: FailoverGroup): FeedPlace | null {
  const { primary, epoch, servers } = made.topology()
  const server = servers.find(one => one.id === primary)
  if (server === undefined) return null
  const password = made.group.roles.find(role => role.name === 'tenfold')?.password ?? ''
  const { id, host, port } = server
  const others = servers
    .filter(one => one.id !== id)
    .map(one => ({ id: one.id, host: one.host, port: one.port }))
  return {
    id,
    host,
    port,
    user: 'tenfold',
    password,
    database: 'app',
    tls: { mode: 'off' },
    epoch,
    own: true,
    others,
  }
}

/** Follows what the agent publishes, as the router does. */
function follow(made: FailoverGroup, cache: FeedCache, told: string[]): ChangeFeed {
  let record: FeedRecord | null = null
  const feed = new ChangeFeed({
    spec: { database: 'main', rules: [{ on: 'rows', tags: ['row:{id}'], urls: [], keys: [] }], tables: [] },
    slot: 'tenfold_feed',
    sinks: [{ name: 'cache', sink: async invalidation => cache.forget(invalidation) }],
    memory: {
      read: () => record,
      write: next => {
        record = next
      },
    },
    clock: systemClock,
    tell: text => told.push(text),
  })
  const timer = setInterval(() => feed.use(placeIn(made)), 10)
  made.endings.push(async () => {
    clearInterval(timer)
    await feed.close()
  })
  return feed
}

async function connectionTo(made: FailoverGroup): Promise<pg.Client | null> {
  const { primary } = made.topology()
  if (primary === null) return null
  const client = new pg.Client({ connectionString: made.url(primary), connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  return client.connect().then(
    () => client,
    () => null,
  )
}

/** One client after another, as long as it answers. */
async function again(
  made: FailoverGroup,
  over: () => boolean,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  while (!over()) {
    const client = await connectionTo(made)
    const { epoch } = made.topology()
    try {
      while (client !== null && !over() && made.topology().epoch === epoch) await work(client)
    } catch {
      // The server is gone: the next one.
    }
    await client?.end().catch(() => {})
    await sleep(10)
  }
}

test('writes during failovers are never left in a cache, and no former primary keeps log for the feed', async t => {
  const made = await startedGroup(t, { replicas: 1 })
  const first = await connectionTo(made)
  assert.ok(first)
  await first.query('CREATE TABLE rows (id int PRIMARY KEY, value int)')
  await first.query(`INSERT INTO rows SELECT i, 0 FROM generate_series(1, ${ids}) AS i`)
  await first.end()
  const cache = new FeedCache()
  const told: string[] = []
  const feed = follow(made, cache, told)
  let over = false
  let at = 0
  const work = [
    again(
      made,
      () => over,
      async client => {
        await client.query('UPDATE rows SET value = value + 1 WHERE id = $1', [1 + (at++ % ids)])
        await sleep(2)
      },
    ),
    again(
      made,
      () => over,
      async client => {
        const id = 1 + (Math.floor(performance.now()) % ids)
        await cache.read(id, async () => {
          const { rows } = await client.query('SELECT value FROM rows WHERE id = $1', [id])
          return rows[0]?.value ?? null
        })
        await sleep(1)
      },
    ),
  ]
  made.endings.unshift(async () => {
    over = true
    await Promise.all(work)
  })
  const heard = async (what: string): Promise<void> => {
    const from = cache.forgotten
    await once(made, what, () => cache.forgotten > from + 20).catch(error => {
      throw new Error(`${JSON.stringify([feed.status, told])} ${error.message}`)
    })
  }
  await heard('changes are told')
  for (const epoch of [2, 3]) {
    const { primary } = made.topology()
    process.kill(made.group.servers.pid(primary!)!, 'SIGKILL')
    await once(
      made,
      'another primary',
      () => made.topology().epoch >= epoch && made.topology().primary !== null,
    )
    await heard(`changes of epoch ${epoch} are told`)
    await once(made, 'the old primary is a replica', whole(made))
  }
  over = true
  await Promise.all(work)
  const last = await connectionTo(made)
  assert.ok(last)
  const { rows } = await last.query('SELECT id, value FROM rows')
  await last.end()
  assert.ok(cache.hits > 0, 'it was a cache')
  assert.ok(cache.everythings >= 3, 'each new primary began with everything')
  const state = (): string => JSON.stringify([feed.status, told])
  await cache.settles(new Map(rows.map(row => [row.id, row.value])), state)
  const other = made.topology().servers.find(one => one.role === 'replica')!.id
  await once(made, `${other} keeps no slot of the feed`, async () => {
    const found = await made.group.servers.query(
      other,
      `SELECT slot_name FROM pg_replication_slots WHERE slot_name = 'tenfold_feed'`,
      5_000,
    )
    return found.length === 0
  })
})
