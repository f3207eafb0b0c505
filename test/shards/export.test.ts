// An export over shards while clients move money between them: the sums in the files hold, and would not without the hold;
// the manifest says what is there; what can't be exported leaves nothing behind.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createRouter } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { type Exported, type ExportPorts, exportDatabase } from '../../src/database/shards/export.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const ids = ['1', '2']
const accounts = 40
const total = accounts * 1_000

const map: ShardMap = {
  format: 1,
  version: 7,
  shards: ids,
  families: {
    accounts: {
      types: ['bigint'],
      rule: { by: 'hash', slots: Array.from({ length: 16 }, (_, slot) => slot % 2) },
    },
  },
  tables: {
    'public.accounts': { kind: 'sharded', family: 'accounts', key: ['id'] },
    'public.films': { kind: 'everywhere' },
    'public.odd/name, "x"': { kind: 'on', shard: '2' },
  },
}

const schema = `CREATE TABLE public.accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, twice bigint GENERATED ALWAYS AS (balance * 2) STORED);
CREATE TABLE public.films (id integer PRIMARY KEY, title text); CREATE TABLE public."odd/name, ""x""" (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE public.odd_2026 PARTITION OF public."odd/name, ""x""" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
ALTER TABLE public.accounts OWNER TO app; ALTER TABLE public.films OWNER TO app`

interface Bank {
  readonly operators: readonly Session[]
  readonly ports: ExportPorts
  readonly said: string[]
  export(folder: string, ports?: Partial<ExportPorts>, format?: 'csv' | 'binary'): Promise<Exported>
  client(): Promise<pg.Client>
  /** Ends it; transfers that were acknowledged. */
  transfers(clients: number): () => Promise<number>
}

async function bank(t: TestContext): Promise<Bank> {
  const settings = { max_prepared_transactions: '50', shared_buffers: '16MB' }
  const servers = await Promise.all(ids.map(() => startPostgres(t, { settings })))
  const operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  t.after(() => operators.forEach(one => void one.close()))
  for (const [at, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[at] as string, map })
    await operator.query(schema, 20_000)
  }
  let holding = false
  let version = 0
  const wholeOf = () => {
    const groups = ids.map((id, at) => ({ ...databaseOf({ servers: [servers[at]!] }), name: `main.${id}` }))
    const shards = { map, groups, systemId: 'test', holding }
    return {
      format: 1 as const,
      version: ++version,
      databases: [{ ...databaseOf({ servers: [] }), primary: null, shards }],
    }
  }
  const router = await createRouter({ snapshot: wholeOf(), tell: () => {} })
  t.after(() => router.close())
  const url = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`
  const client = async (): Promise<pg.Client> => {
    const made = new pg.Client({ connectionString: url })
    made.on('error', () => {})
    await made.connect()
    t.after(() => made.end().catch(() => {}))
    return made
  }
  const first = await client()
  for (let id = 1; id <= accounts; id++) await first.query('INSERT INTO accounts VALUES ($1, 1000)', [id])
  await first.query("INSERT INTO films VALUES (1, 'one'), (2, E'two,\\n\"2\"')")
  await operators[1]?.query(
    `INSERT INTO public."odd/name, ""x""" VALUES ('2026-05-05', NULL), ('2026-06-06', '')`,
    5_000,
  )
  const said: string[] = []
  const ports: ExportPorts = {
    ask: (shard, sql, timeoutMs) => operators[ids.indexOf(shard)]!.query(sql, timeoutMs),
    hold: async now => {
      holding = now
      await router.apply(wholeOf())
    },
    drained: async timeoutMs => {
      const end = Date.now() + timeoutMs
      while (router.openOn('main') > 0) {
        if (Date.now() > end) return false
        await sleep(2)
      }
      return true
    },
    hindered: () => '',
    pause: ms => sleep(Math.min(ms, 20)),
    progress: sentence => void said.push(sentence),
  }
  const targets = new Map(
    servers.map(({ host, port }, at) => [
      ids[at] as string,
      { host, port, database: 'app', user: 'tenfold', password: 'secret', tls: { mode: 'off' as const } },
    ]),
  )
  return {
    operators,
    ports,
    said,
    client,
    export: (folder, other = {}, format = 'csv') =>
      exportDatabase({ database: 'main', folder, format, map, targets }, { ...ports, ...other }),
    transfers: clients => {
      let goesOn = true
      let done = 0
      const failed: unknown[] = []
      const work = Array.from({ length: clients }, async (_, at) => {
        const mine = await client()
        for (let number = at; goesOn; number += 7) {
          const [a = 0, b = 0] = [1 + (number % accounts), 1 + ((number * 3 + 1) % accounts)].sort(
            (x, y) => x - y,
          )
          if (a === b) continue
          try {
            await mine.query('BEGIN')
            await mine.query('UPDATE accounts SET balance = balance - 5 WHERE id = $1', [a])
            await mine.query('UPDATE accounts SET balance = balance + 5 WHERE id = $1', [b])
            await mine.query('COMMIT')
            done++
          } catch (error) {
            failed.push(error)
            goesOn = false
          }
        }
      })
      return async () => {
        goesOn = false
        await Promise.all(work)
        assert.deepEqual(failed, [])
        return done
      }
    },
  }
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'export-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function manifestIn(found: Exported) {
  if (found.kind === 'refused') throw new Error(found.why)
  return found.manifest
}

function sumIn(folder: string, found: Exported): { sum: number; ids: Set<string> } {
  const known = new Set<string>()
  let sum = 0
  for (const { table, file } of manifestIn(found).tables) {
    if (table !== 'public.accounts') continue
    const [head, ...lines] = readFileSync(join(folder, file), 'utf8').trimEnd().split('\n')
    assert.equal(head, 'id,balance')
    for (const line of lines) {
      const [id = '', balance] = line.split(',')
      assert.ok(!known.has(id), `account ${id} twice`)
      known.add(id)
      sum += Number(balance)
    }
  }
  return { sum, ids: known }
}

test('sums over shards hold in every export while money moves between shards, and not without the hold', async t => {
  const money = await bank(t)
  const stop = money.transfers(6)
  const folder = folderOf(t)
  const heldMs: number[] = []
  for (let round = 0; round < 8; round++) {
    const to = join(folder, `held-${round}`)
    const found = await money.export(to)
    const { sum, ids: known } = sumIn(to, found)
    assert.equal(sum, total, `round ${round}`)
    assert.equal(known.size, accounts)
    heldMs.push(manifestIn(found).heldMs)
  }
  // The same without anybody held: what one shard has committed, another has only prepared.
  let differs = 0
  let looked = 0
  for (; looked < 100 && differs === 0; looked++) {
    const to = join(folder, `open-${looked}`)
    const found = await money.export(to, {
      ask: async () => [['']],
      hold: async () => {},
      drained: async () => true,
    })
    if (sumIn(to, found).sum !== total) differs++
  }
  const transfers = await stop()
  assert.ok(transfers > 20, `${transfers} transfers`)
  assert.equal(differs, 1, `the sum held in ${looked} exports without a hold`)
  t.diagnostic(
    `${transfers} transfers; clients waited for ${heldMs} ms; without the hold export ${looked} was wrong`,
  )
})

test('the manifest says each file: columns, rows, bytes, checksum; tables everywhere are written once', async t => {
  const money = await bank(t)
  for (const format of ['csv', 'binary'] as const) {
    const folder = folderOf(t)
    const manifest = manifestIn(await money.export(folder, {}, format))
    assert.deepEqual(JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')), manifest)
    assert.equal(manifest.mapVersion, 7)
    assert.deepEqual(
      manifest.tables.map(({ table, shard }) => `${table} ${shard}`),
      ['public.accounts 1', 'public.accounts 2', 'public.films null', 'public.odd/name, "x" 2'],
    )
    for (const { file, bytes, sha256 } of manifest.tables) {
      const content = readFileSync(join(folder, file))
      assert.equal(content.length, bytes)
      assert.equal(createHash('sha256').update(content).digest('hex'), sha256)
    }
    assert.equal(readdirSync(folder).length, manifest.tables.length + 1)
    const rows = manifest.tables.map(one => one.rows)
    assert.equal(rows[0]! + rows[1]!, accounts)
    assert.deepEqual(rows.slice(2), [2, 2])
    assert.deepEqual(manifest.tables[0]?.columns, ['id', 'balance'])
    // It goes back in as it came out.
    const [films] = manifest.tables.filter(one => one.table === 'public.films')
    if (format === 'csv')
      assert.equal(readFileSync(join(folder, films!.file), 'utf8'), 'id,title\n1,one\n2,"two,\n""2"""\n')
    else assert.equal(readFileSync(join(folder, films!.file)).latin1Slice(0, 7), 'PGCOPY\n')
  }
})

test('a folder with something in it is refused; clients that never end are waited for within bounds', async t => {
  const money = await bank(t)
  const folder = folderOf(t)
  mkdirSync(join(folder, 'full'))
  writeFileSync(join(folder, 'full', 'mine'), 'x')
  const full = await money.export(join(folder, 'full'))
  assert.match(full.kind === 'refused' ? full.why : '', /full is not empty$/)
  assert.deepEqual(readdirSync(join(folder, 'full')), ['mine'])

  const open = await money.client()
  await open.query('BEGIN')
  await open.query('UPDATE accounts SET balance = balance WHERE id = 1')
  const other = await money.client()
  const begun = Date.now()
  const refused = money.export(join(folder, 'never'))
  // Between the tries clients go on.
  let answered = 0
  let ended = false
  void refused.finally(() => {
    ended = true
  })
  while (!ended) {
    await other.query('SELECT balance FROM accounts WHERE id = 2')
    answered++
  }
  const found = await refused
  assert.match(found.kind === 'refused' ? found.why : '', /clients had transactions open \(tried 10 times\)/)
  assert.ok(answered >= 5, `${answered} answers`)
  t.diagnostic(`given up after ${Date.now() - begun} ms, ${answered} answers meanwhile`)
  assert.ok(!existsSync(join(folder, 'never')))
  await open.query('COMMIT')
  assert.equal(sumIn(join(folder, 'then'), await money.export(join(folder, 'then'))).sum, total)
})

test('nothing is exported while rows move, also when that begins amid the hold; and nothing is left', async t => {
  const money = await bank(t)
  const folder = folderOf(t)
  const why = 'a resharding is under way'
  const before = await money.export(join(folder, 'none'), {
    hindered: () => why,
    hold: async () => assert.fail('nobody is held'),
  })
  assert.deepEqual(before, { kind: 'refused', why })
  let held = false
  const amid = await money.export(join(folder, 'none'), {
    hindered: () => (held ? why : ''),
    hold: async now => {
      held ||= now
      await money.ports.hold(now)
    },
  })
  assert.deepEqual(amid, { kind: 'refused', why })
  assert.ok(!existsSync(join(folder, 'none')))
  // Clients are not held any more.
  const client = await money.client()
  assert.equal((await client.query('SELECT title FROM films WHERE id = 1')).rowCount, 1)
})

test('trap: a table whose definition is changed amid an export is waited for, not read as empty', async t => {
  const money = await bank(t)
  const folder = folderOf(t)
  const [first] = money.operators
  // Clients' own statements are held; somebody at the server itself is not.
  await first?.query('BEGIN', 5_000)
  await first?.query('LOCK TABLE public.accounts IN ACCESS EXCLUSIVE MODE', 5_000)
  let tries = 0
  const found = await money.export(join(folder, 'cut'), {
    ask: async () => [['']],
    pause: async () => {
      if (++tries === 2) await first?.query('COMMIT', 5_000)
    },
  })
  assert.equal(tries, 2)
  assert.match(money.said.join('\n'), /a table's definition is being changed/)
  assert.equal(sumIn(join(folder, 'cut'), found).sum, total)
})
