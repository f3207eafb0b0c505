// Fresh and session reads as clients of the router get them, counted: a hundred thousand of each while replicas stand still
// at random and others write, every one checked against what was acknowledged before it was sent; and the same check where
// nothing is promised, which shows that it can fail.

import { strict as assert } from 'node:assert'
import { type TestContext, test } from 'node:test'
import type pg from 'pg'
import { seededRandom } from '../../src/kit/random.ts'
import { type Cluster, startCluster, unsettle, until } from '../tools/read-sessions.ts'
import { type RouterUnderTest, startRouter } from '../tools/router-harness.ts'

const seed = Number(process.env.TENFOLD_SEED ?? Date.now() % 1e9)
const monitor = { user: 'tenfold_monitor', password: 'secret' }

function routerOf(t: TestContext, { primary, replicas }: Cluster, kind: string): Promise<RouterUnderTest> {
  return startRouter(t, {
    servers: [primary, ...replicas],
    pool: { sizeMax: 15 },
    more: { reads: { kind: kind as 'fresh' }, monitor, readWaitMs: 20 },
  })
}

/** Reads go to a replica by now. */
async function warm(router: RouterUnderTest): Promise<void> {
  const client = await router.client()
  await until(async () => {
    await client.query('SELECT n FROM ledger WHERE id = 0')
    const { reads } = router.status()
    return (reads.replica ?? 0) + (reads.waited ?? 0) > 0
  })
}

class Ledger {
  readonly acknowledged: bigint[] = Array.from({ length: 8 }, () => 0n)
  reads = 0
  writes = 0
  stale = 0

  async write(client: pg.Client, row: number): Promise<void> {
    const { rows } = await client.query({
      name: 'write',
      text: 'UPDATE ledger SET n = n + 1 WHERE id = $1 RETURNING n',
      values: [row],
    })
    this.writes++
    this.acknowledged[row] = BigInt(rows[0].n)
  }

  async read(client: pg.Client, row: number): Promise<void> {
    const before = this.acknowledged[row] as bigint
    const { rows } = await client.query({
      name: 'read',
      text: 'SELECT n FROM ledger WHERE id = $1',
      values: [row],
    })
    this.reads++
    if (BigInt(rows[0].n) < before) this.stale++
  }
}

for (const [kind, wanted] of [
  ['fresh', 100_000],
  ['session', 100_000],
  ['any', 5_000],
] as const) {
  test(`${wanted} reads with '${kind}' through the router while replicas stand still at random`, {
    timeout: 550_000,
  }, async t => {
    t.diagnostic(`seed ${seed}`)
    const cluster = await startCluster(t)
    const router = await routerOf(t, cluster, kind)
    const ledger = new Ledger()
    const random = seededRandom(seed)
    await warm(router)
    const goesOn = (): boolean => ledger.reads < wanted
    // Sessions write their own row now and then, and read it; with 'fresh' two of eight write, and all read what those wrote.
    const own = kind === 'session'
    const clients = await Promise.all(Array.from({ length: 8 }, () => router.client()))
    const work = clients.map(async (client, index) => {
      while (goesOn()) {
        if ((own || index < 2) && random.below(10) === 0) await ledger.write(client, index)
        await ledger.read(client, own ? index : random.below(2))
      }
    })
    await Promise.all([...work, unsettle(cluster.replicas, random, goesOn)])
    const { reads } = router.status()
    t.diagnostic(`${ledger.writes} writes; ${JSON.stringify(reads)}`)
    if (kind === 'any') assert.ok(ledger.stale > 0, 'the check never fails, so it shows nothing')
    else assert.equal(ledger.stale, 0)
    assert.ok((reads.replica ?? 0) + (reads.waited ?? 0) > wanted / 3, JSON.stringify(reads))
    assert.ok(ledger.writes > 50)
  })
}
